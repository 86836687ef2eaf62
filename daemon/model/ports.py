"""What the parts ask of each other, as protocols. Nobody here knows who is on the other side."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from daemon.model.effects import Row
from daemon.model.findings import Finding
from daemon.model.incidents import Incident
from daemon.model.notices import Delivery, Notification, Silence
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import IncidentId, ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult
from daemon.model.signals import Arrival, Restored

Json = Mapping[str, object]


class Clock(Protocol):
    """The only time."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def within(self, seconds: float, work: Awaitable[None]) -> bool:
        """Wait for some work at most so long; False when the time ran out (the work is then cancelled)."""
        ...


class Inbox(Protocol):
    """Where signals go; never blocks."""

    def put(self, signal: Arrival) -> None:
        """Take a signal; merge it with one that waits under the same key. What is unread is read before it leaves."""
        ...


class Source(Protocol):
    """What produces signals; runs until cancelled and may be started again."""

    async def run(self, inbox: Inbox) -> None:
        """Feed the inbox until cancelled."""
        ...


class Action(Protocol):
    """What touches a cluster. Neither verb raises but for a fault in its own code."""

    async def run(self, request: ActionRequest) -> ActionResult:
        """Do it once, re-checking `expects` in the write itself."""
        ...

    async def look(self, request: ActionRequest) -> ActionResult:
        """Say what became of a request whose outcome was lost: changed, not done, or unknown."""
        ...


class Notifier(Protocol):
    """Code that can tell one target."""

    async def send(self, notification: Notification, thread: str) -> Delivery:
        """Tell it; `thread` is where this incident's message stands, empty for the first."""
        ...

    async def find(self, notification: Notification) -> Delivery | None:
        """Ask the far side whether this key was already shown; None when it was not."""
        ...


class Ledger(Protocol):
    """What survives a crash."""

    async def commit(self, rows: Sequence[Row]) -> None:
        """Make the rows durable, all or none; durable when it returns. Raises LedgerError."""
        ...

    async def restore(self, now: datetime) -> Restored:
        """Return what must be remembered."""
        ...


class Cluster(Protocol):
    """Raw JSON verbs on one cluster; every call has a time limit and raises ClusterError."""

    name: str

    async def get(self, ref: ObjectRef) -> Json:
        """Read one object; NotFound when it is not there."""
        ...

    async def list(
        self, group: str, kind: str, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> list[Json]:
        """Read all objects of a kind, page by page; of Secrets never more than the metadata."""
        ...

    async def patch(self, ref: ObjectRef, body: Json, *, subresource: str = "", dry_run: bool = False) -> Json:
        """Send a JSON merge patch under our field manager; put uid and resourceVersion in the body as preconditions."""
        ...

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str = "", dry_run: bool = False) -> None:
        """Delete one object if it still has this uid (and version)."""
        ...


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the daemon sees its cluster, and if not, why."""

    ready: bool
    reasons: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Resource to one of: synced, syncing, absent, or stale: REASON."""


class View(Protocol):
    """Read-only questions to the World, for web and metrics."""

    def incidents(self) -> tuple[Incident, ...]:
        """Return every incident remembered, newest first."""
        ...

    def incident(self, wanted: IncidentId) -> Incident | None:
        """Return one incident by id or unique id prefix."""
        ...

    def findings(self) -> tuple[Finding, ...]:
        """Return every finding that is pending or firing."""
        ...

    def objects(self) -> tuple[tuple[ObjectState, Health], ...]:
        """Return every Flux object with its health."""
        ...

    def rules(self) -> tuple[Json, ...]:
        """Return every rule in force, by name: what it is about, how far it may go, how often it failed to evaluate."""
        ...

    def silences(self) -> tuple[Silence, ...]:
        """Return every silence in force, the one that ends first before the others."""
        ...

    def why(self, ref: ObjectRef, incident: str = "") -> Json:
        """Say why an object is or is not in an incident (or in the one named), by every rule and detector."""
        ...

    def readiness(self) -> Readiness:
        """Say whether every watched kind is in sync."""
        ...

    def counters(self) -> Mapping[str, float]:
        """Return the World's own counters by name, for metrics."""
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One inbound request as plain values, so that a source needs no web library."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer as plain values."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A path that a source answers; the server enforces the body limit (bytes) and the time limit (seconds)."""

    method: str
    path: str
    handler: Callable[[HttpRequest], Awaitable[HttpAnswer]]
    limit: int = 3 * 1024 * 1024
    seconds: float = 30.0


class Lines(Protocol):
    """A streamed answer, line by line; closing it closes the connection."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over whole lines without their end."""
        ...

    async def aclose(self) -> None:
        """Close the stream."""
        ...
