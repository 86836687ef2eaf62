"""No event loop but the test's own."""

import asyncio

asyncio.set_event_loop(None)  # else pytest-asyncio makes one for the first sync fixture, and nobody closes it
