"""Switches that make the simulated API server misbehave, and the log of what was asked of it.

Everything is a plain attribute or method; nothing is random and nothing ends by itself but counted failures.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daemon.simulator.api.errors import ApiError

LOGGED = 5000
"""Requests kept in the log."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in; `at` is the clock's monotonic seconds."""

    at: float
    verb: str
    resource: str
    method: str
    path: str
    query: str


@dataclass(slots=True)
class Failure:
    """Answer the next `left` matching requests with `status`; status 0 closes the connection without an answer."""

    left: int
    status: int
    retry_after: int | None = None
    verb: str = "*"
    resource: str = "*"
    message: str = "the simulator was told to fail"
    after_write: bool = False


class Faults:
    """What is wrong with the API server at present. `pulse` wakes the open streams."""

    def __init__(self, pulse: Callable[[], None]) -> None:
        self.denied: set[tuple[str, str]] = set()
        self.tokens: frozenset[str] | None = None
        self.user = "system:serviceaccount:fluxmedic:fluxmedic"
        self.latency = 0.0
        self.gone_as_status = False
        self.no_bookmarks = False
        self.asked: deque[Asked] = deque(maxlen=LOGGED)
        self.cuts: dict[str, int] = {}
        self.cut_inside = False
        self.injected: list[tuple[str, bytes]] = []
        self.silent: set[str] = set()
        self.admission: list[Callable[[str, dict[str, Any]], str | None]] = []
        self._failures: list[Failure] = []
        self._pulse = pulse
        self._answering = asyncio.Event()
        self._answering.set()

    def deny(self, verb: str, resource: str) -> None:
        """Refuse a verb ("*": all) on plural.group ("*": all; pods/exec for a subresource) with 403."""
        self.denied.add((verb, resource))

    def permit(self, verb: str, resource: str) -> None:
        """Take a denial back."""
        self.denied.discard((verb, resource))

    def denies(self, verb: str, resource: str) -> bool:
        """Say whether the verb is refused."""
        return any((v, r) in self.denied for v in (verb, "*") for r in (resource, "*"))

    def fail_next(
        self,
        count: int,
        status: int,
        *,
        retry_after: int | None = None,
        verb: str = "*",
        resource: str = "*",
        after_write: bool = False,
    ) -> None:
        """Answer the next `count` matching requests with an error (0: none, the connection is closed).

        With `after_write` the request is carried out first, so that only its answer is lost.
        """
        self._failures.append(Failure(count, status, retry_after, verb, resource, after_write=after_write))

    def failure(self, verb: str, resource: str, *, after_write: bool) -> Failure | None:
        """Take one failure that is due for this request, if any."""
        for failure in self._failures:
            fits = failure.verb in (verb, "*") and failure.resource in (resource, "*")
            if fits and failure.left > 0 and failure.after_write is after_write:
                failure.left -= 1
                return failure
        return None

    def hang(self) -> None:
        """Answer no request until `answer`; open streams fall silent too."""
        self._answering.clear()

    def answer(self) -> None:
        """End `hang`."""
        self._answering.set()
        self._pulse()

    @property
    def hanging(self) -> bool:
        """Say whether `hang` is in force."""
        return not self._answering.is_set()

    async def pass_through(self) -> None:
        """Wait until requests are answered."""
        await self._answering.wait()

    def mute_watches(self, resource: str = "*") -> None:
        """Keep watches open but send nothing, not even bookmarks: a half-open connection."""
        self.silent.add(resource)

    def unmute_watches(self, resource: str = "*") -> None:
        """End `mute_watches`; what was held back is sent."""
        self.silent.discard(resource)
        self._pulse()

    def muted(self, resource: str) -> bool:
        """Say whether this resource's watches are silent."""
        return self.hanging or bool(self.silent & {resource, "*"})

    def cut_watches(self, resource: str = "*", *, inside_a_line: bool = False) -> None:
        """Break the connection of every open watch, on request in the middle of a line."""
        self.cut_inside = inside_a_line
        self.cuts[resource] = self.cuts.get(resource, 0) + 1
        self._pulse()

    def cut_count(self, resource: str) -> int:
        """Return how often this resource's watches were cut."""
        return self.cuts.get(resource, 0) + self.cuts.get("*", 0)

    def inject(self, resource: str, line: bytes) -> None:
        """Send raw bytes in every open watch of a resource: bad JSON, an ERROR, a duplicate, an older state."""
        self.injected.append((resource, line))
        self._pulse()

    def expire_watches(self, resource: str = "*") -> None:
        """Send an ERROR event 410 in every open watch."""
        error = b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
        self.inject(resource, error + b'"message":"too old resource version","reason":"Expired","code":410}}\n')

    def admit(self, verb: str, item: dict[str, Any]) -> None:
        """Ask the admission hooks. Raises ApiError 403 with the text of the first that refuses."""
        for hook in self.admission:
            if why := hook(verb, item):
                raise ApiError(403, why)
