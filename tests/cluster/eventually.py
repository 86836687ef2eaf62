"""Waiting with a reason and a limit: what was waited for, and what was last seen, stand in the failure."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
POLL = 0.25
SHOWN = 2000
"""Characters of what was last seen that a failure prints."""


async def eventually(
    what: str, look: Callable[[], Awaitable[T]], holds: Callable[[T], object], *, within: float, every: float = POLL
) -> T:
    """Look until it holds and return what was seen. Raises AssertionError after `within` seconds."""
    until = time.monotonic() + within
    while True:
        seen = await look()
        if holds(seen):
            return seen
        if time.monotonic() > until:
            raise AssertionError(f"waited {within:g} s for {what}; last seen: {str(seen)[:SHOWN]}")
        await asyncio.sleep(every)


async def never(
    what: str,
    look: Callable[[], Awaitable[T]],
    holds: Callable[[T], object],
    *,
    for_seconds: float,
    every: float = POLL,
) -> T:
    """Look for so long and return the last that was seen. Raises AssertionError as soon as it holds."""
    until = time.monotonic() + for_seconds
    while True:
        seen = await look()
        if holds(seen):
            raise AssertionError(f"{what}, which must not be: {str(seen)[:SHOWN]}")
        if time.monotonic() > until:
            return seen
        await asyncio.sleep(every)
