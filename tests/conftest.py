"""What every test stands on: one event loop that belongs to the session.

Without it the asyncio plug-in asks for "the present loop" outside of any, Python makes one, and nobody ever closes it:
a warning, hence an error, in whatever test the garbage collector runs.
"""

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def spare_loop() -> Iterator[None]:
    """Be the present loop wherever no test has its own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
