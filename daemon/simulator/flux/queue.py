"""The work queue of the simulated controllers: one run a key at a time, each run a generator that yields its waits.

A run in flight is never interrupted: what happens meanwhile makes it run once more afterwards, as in Flux, where a
health check in flight holds up the repair. Limit: one queue, as many workers as there are keys.
"""

import heapq
from collections.abc import Callable, Generator

from daemon.simulator.api.errors import ApiError

Steps = Generator[float, None, float | None]
"""A run: yields seconds to wait, returns seconds until the next run, or None for "when something changes"."""
Start = Callable[[str, str], Steps]
Key = tuple[str, str, str]

RETRY = 0.75
"""Seconds after a failed write, controller-runtime's first back-off in Flux."""


class Queue:
    """Runs what is due. `time` gives monotonic seconds."""

    def __init__(self, time: Callable[[], float]) -> None:
        self.stopped: set[str] = set()
        self._time = time
        self._starts: dict[str, Start] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._running: dict[Key, Steps] = {}
        self._again: set[Key] = set()
        self._count = 0

    def register(self, controller: str, start: Start) -> None:
        """Name what runs for a controller's keys."""
        self._starts[controller] = start

    def add(self, controller: str, namespace: str, name: str, delay: float = 0.0) -> None:
        """Run a key after `delay` seconds, or as soon as its present run is over; the earliest of several holds."""
        key = (controller, namespace, name)
        if key in self._running:
            self._again.add(key)
            return
        self._schedule(key, self._time() + delay)

    def step(self) -> None:
        """Carry on with everything that is due now; what that makes due is for the next step."""
        now = self._time()
        due: list[Key] = []
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == at:
                del self._due[key]
                due.append(key)
        for key in due:
            if key[0] in self.stopped:
                self._schedule(key, now + RETRY)
            else:
                self._advance(key, now)

    def _schedule(self, key: Key, at: float) -> None:
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, key))

    def _advance(self, key: Key, now: float) -> None:
        run = self._running.get(key)
        if run is None:
            run = self._running[key] = self._starts[key[0]](key[1], key[2])
        try:
            self._schedule(key, now + next(run))
        except StopIteration as over:
            self._finish(key, over.value, now)
        except ApiError:
            self._finish(key, RETRY, now)

    def _finish(self, key: Key, after: float | None, now: float) -> None:
        del self._running[key]
        if key in self._again:
            self._again.discard(key)
            after = 0.0
        if after is not None:
            self._schedule(key, now + after)
