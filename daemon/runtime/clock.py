"""The only reader of time. Everything else is given a Clock."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()  # noqa: TID251 - the one place

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        await asyncio.sleep(max(0.0, seconds))

    async def within(self, seconds: float, work: Awaitable[object]) -> bool:
        """Wait for some work at most so many seconds; say whether it was done."""
        return await _within(seconds, work)


class ScaledClock:
    """A time that runs `speed` times as fast as the machine's, from the present on: the demo's."""

    def __init__(self, speed: float) -> None:
        """Begin now. Raises ValueError for a speed that is not above zero."""
        if speed <= 0:
            raise ValueError("the speed must be above zero")
        self.speed = speed
        self._system = SystemClock()
        self._begun = self._system.now()
        self._mark = self._system.monotonic()

    def now(self) -> datetime:
        """Return the scaled present moment, aware UTC."""
        return self._begun + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return scaled seconds since the beginning."""
        return (self._system.monotonic() - self._mark) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait so many scaled seconds."""
        await self._system.sleep(seconds / self.speed)

    async def within(self, seconds: float, work: Awaitable[object]) -> bool:
        """Wait for some work at most so many scaled seconds; say whether it was done."""
        return await _within(seconds / self.speed, work)


class LoopClock:
    """The running loop's own time, from a fixed moment on: under a virtual loop (looptime) tests take no real time."""

    def __init__(self, begun: datetime) -> None:
        """Begin at this moment."""
        self._begun = begun
        self._mark: float | None = None

    def now(self) -> datetime:
        """Return the moment the loop has come to, aware UTC."""
        return self._begun + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the loop's seconds since the first question."""
        time_now = asyncio.get_running_loop().time()
        self._mark = time_now if self._mark is None else self._mark
        return time_now - self._mark

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of the loop."""
        await asyncio.sleep(max(0.0, seconds))

    async def within(self, seconds: float, work: Awaitable[object]) -> bool:
        """Wait for some work at most so many seconds of the loop; say whether it was done."""
        return await _within(seconds, work)


async def _within(seconds: float, work: Awaitable[object]) -> bool:
    try:
        await asyncio.wait_for(work, max(0.0, seconds))
    except TimeoutError:
        return False
    return True
