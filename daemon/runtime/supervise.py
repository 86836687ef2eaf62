"""The only starter of tasks. An owner holds its tasks; leaving it cancels them and waits.

A kept task that returns is as wrong as one that raises: it is restarted with a growing delay, or it ends the whole
owner with its own error, as it was told at the start. Cancellation is never swallowed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Self

from daemon.model.errors import DaemonError
from daemon.model.ports import Clock
from daemon.runtime.backoff import delays

CALM = 120.0
"""A task that ran so many seconds without fault begins again at the first delay."""


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
            self._failed.exception()

    def keep(self, name: str, run: Callable[[], Awaitable[None]], *, restart: bool = True) -> None:
        """Run a coroutine function for ever; what it raises restarts it, or (restart=False) fails the owner."""
        runner = self._restarting(name, run) if restart else self._vital(name, run)
        self._start(f"{self.name}/{name}", runner)

    def spawn(self, name: str, job: Awaitable[None]) -> None:
        """Run one job to its end; its fault is told and ends nothing else."""
        self._start(f"{self.name}/{name}", self._once(name, job))

    async def failure(self) -> None:
        """Wait until a vital task fails, and raise its error."""
        assert self._failed is not None  # noqa: S101 - set on entering
        await asyncio.shield(self._failed)

    async def idle(self) -> None:
        """Wait until no task is left."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        """Cancel the tasks and wait until they have ended."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, name: str, job: Awaitable[None]) -> None:
        task = asyncio.ensure_future(_awaited(job))  # noqa: TID251 - the one place
        task.set_name(name)
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

    async def _once(self, name: str, job: Awaitable[None]) -> None:
        try:
            await job
        except Exception as error:  # noqa: BLE001 - as above: it ends this job alone
            self._on_fault(f"{self.name}/{name}", error)


async def _awaited(job: Awaitable[None]) -> None:
    await job
