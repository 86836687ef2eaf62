"""The only starter of tasks. An owner holds its tasks; leaving it cancels them and waits.

A kept task that returns is as wrong as one that raises: it is restarted with a growing delay, or it ends the whole
owner with its own error, as it was told at the start. Cancellation is never swallowed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Self

from daemon.model.errors import DaemonError
from daemon.model.ports import Clock
from daemon.runtime.backoff import delays

CALM = 120.0
"""A task that ran so many seconds without fault begins again at the first delay."""
STUBBORN = 5.0
"""Seconds a cancelled task gets to clean up."""


class TaskEnded(DaemonError):
    """A task that must run for ever returned."""


class Tasks:
    """An owner of tasks: `async with Tasks("feeds", clock) as feeds: feeds.keep(...)`."""

    def __init__(self, name: str, clock: Clock, on_fault: Callable[[str, BaseException], None]) -> None:
        """Own tasks under this name; `on_fault` is told of every fault of a kept task."""
        self.name = name
        self.restarts = 0
        self._clock = clock
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to own."""
        self._failed = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Cancel every task that still runs, and wait for them."""
        await self.cancel()
        if self._failed is not None and self._failed.done() and not self._failed.cancelled():
            self._failed.exception()  # told by on_fault; asking here keeps asyncio from telling it again

    def keep(self, name: str, run: Callable[[], Awaitable[None]], *, restart: bool = True) -> None:
        """Run a coroutine function for ever; what it raises restarts it, or (restart=False) fails the owner."""
        runner = self._restarting(name, run) if restart else self._vital(name, run)
        self._start(f"{self.name}/{name}", runner)

    def spawn(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run one job to its end; its fault is told and ends nothing else."""
        self._start(f"{self.name}/{name}", self._once(name, run))

    async def failure(self) -> None:
        """Wait until a vital task fails, and raise its error."""
        assert self._failed is not None  # noqa: S101 - set on entering
        await asyncio.shield(self._failed)

    async def idle(self) -> None:
        """Wait until no task is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """Cancel the tasks and wait until they have ended; one that will not end is told of and left behind."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await self._clock.within(STUBBORN, self.idle())
        for task in self._tasks:
            text = f"it did not end within {STUBBORN:g} s of being cancelled; it is left behind"
            self._on_fault(task.get_name(), TaskEnded(text))

    def _start(self, name: str, job: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(job, name=name)  # noqa: TID251 - the one place
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _vital(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
            error: Exception = TaskEnded(f"{self.name}/{name} ended, which it must not")
        except Exception as fault:  # noqa: BLE001 - one of the two places that may catch all: it fails the owner
            error = fault
        self._on_fault(f"{self.name}/{name}", error)
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _restarting(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        waits: Iterator[float] = delays()
        while True:
            begun = self._clock.monotonic()
            try:
                await run()
                error: Exception = TaskEnded(f"{self.name}/{name} ended, which it must not")
            except Exception as fault:  # noqa: BLE001 - as above: it restarts the task
                error = fault
            self._on_fault(f"{self.name}/{name}", error)
            self.restarts += 1
            if self._clock.monotonic() - begun > CALM:
                waits = delays()
            await self._clock.sleep(next(waits))

    async def _once(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - as above: it ends this job alone
            self._on_fault(f"{self.name}/{name}", error)


class Stop:
    """The wish to stop, and how long is left: the deadline is armed when stop is asked for, not when work is done."""

    def __init__(self, clock: Clock, grace: float) -> None:
        """Leave so many seconds from the asking to the end."""
        self._clock = clock
        self._grace = grace
        self._asked = asyncio.Event()
        self._deadline = 0.0
        self.why = ""

    def ask(self, why: str) -> None:
        """Ask to stop; the first asking counts. Safe to call from a signal handler of the loop."""
        if not self._asked.is_set():
            self.why = why
            self._deadline = self._clock.monotonic() + self._grace
            self._asked.set()

    @property
    def asked(self) -> bool:
        """Say whether stop was asked for."""
        return self._asked.is_set()

    async def wait(self) -> None:
        """Wait until stop is asked for."""
        await self._asked.wait()

    async def within(self, work: Awaitable[None]) -> bool:
        """Do some last work in the time that is left of the grace; False when it was cut off."""
        return await self._clock.within(self._deadline - self._clock.monotonic(), work)


async def first(*works: Awaitable[None]) -> None:
    """Wait for the first of some works to end, cancel the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]  # noqa: TID251 - the one place
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
