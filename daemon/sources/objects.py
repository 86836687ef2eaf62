"""What the cluster shows: one informer a kind, each delta as a signal.

Truth comes from here alone; events and webhooks only make it faster and wiser. A tap sees every raw fact, for `record`.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from daemon.flux.decode import arrival_of, gone_of, signal_of
from daemon.flux.kinds import WATCHED, Kind, resource_of
from daemon.kube.client import KubeCluster
from daemon.kube.informer import Informer
from daemon.model.ports import Clock, Inbox, Json
from daemon.model.signals import Stale, Synced

HELM_SECRETS = "owner=helm"
"""Label selector of Helm's storage; only the metadata of these Secrets is ever asked for."""


class Tap(Protocol):
    """Sees every raw fact as it came."""

    def fact(self, at: datetime, kind: str, raw: Json) -> None:
        """Take an ADDED, MODIFIED or DELETED."""
        ...

    def synced(self, at: datetime, resource: str) -> None:
        """Take the end of a list."""
        ...


@dataclass(frozen=True, slots=True)
class Feed:
    """One task for the supervisor."""

    name: str
    run: Callable[[], Awaitable[None]]
    informer: Informer


class KindSink:
    """Turns the deltas of one kind into signals."""

    def __init__(self, cluster: str, resource: str, clock: Clock, inbox: Inbox, tap: Tap | None = None) -> None:
        """Feed this inbox."""
        self._cluster = cluster
        self._resource = resource
        self._clock = clock
        self._inbox = inbox
        self._tap = tap
        self.unreadable = 0

    def changed(self, raw: Json, *, initial: bool) -> None:
        """Take an object that is there."""
        now = self._clock.now()
        if self._tap is not None:
            self._tap.fact(now, "ADDED" if initial else "MODIFIED", raw)
        try:
            signal = (
                signal_of(raw, self._cluster, now, initial=True) if initial else arrival_of(raw, self._cluster, now)
            )
        except ValueError:
            self.unreadable += 1
            return
        if signal is not None:
            self._inbox.put(signal)

    def gone(self, raw: Json) -> None:
        """Take an object that was deleted."""
        now = self._clock.now()
        if self._tap is not None:
            self._tap.fact(now, "DELETED", raw)
        signal = gone_of(raw, self._cluster, now)
        if signal is not None:
            self._inbox.put(signal)

    def synced(self) -> None:
        """Take note that a whole list was given."""
        if self._tap is not None:
            self._tap.synced(self._clock.now(), self._resource)
        self._inbox.put(Synced(self._clock.now(), self._resource))

    def stale(self, reason: str, *, absent: bool) -> None:
        """Take note that the kind cannot be heard."""
        self._inbox.put(Stale(self._clock.now(), self._resource, reason, absent))


def feeds(
    cluster: KubeCluster,
    inbox: Inbox,
    clock: Clock,
    delays: Iterator[Iterator[float]],
    *,
    kinds: Iterable[Kind] = WATCHED,
    helm_storage: bool = True,
    tap: Tap | None = None,
) -> tuple[Feed, ...]:
    """Return one feed a kind; with Helm's storage, the metadata of its Secrets too."""
    wanted = [(kind, "", False) for kind in kinds]
    if helm_storage:
        wanted.append((SECRET, HELM_SECRETS, True))
    return tuple(_feed(cluster, inbox, clock, delays, each, tap) for each in wanted)


def resources(kinds: Iterable[Kind] = WATCHED, *, helm_storage: bool = True) -> frozenset[str]:
    """Return the resources that must have been heard before anything may fire."""
    found = {resource_of(kind) for kind in kinds}
    return frozenset(found | {resource_of(SECRET)} if helm_storage else found)


def _feed(
    cluster: KubeCluster,
    inbox: Inbox,
    clock: Clock,
    delays: Iterator[Iterator[float]],
    wanted: tuple[Kind, str, bool],
    tap: Tap | None,
) -> Feed:
    kind, labels, metadata_only = wanted
    resource = resource_of(kind)
    informer = Informer(cluster, kind.group, kind.kind, clock, delays, labels=labels, metadata_only=metadata_only)
    sink = KindSink(cluster.name, resource, clock, inbox, tap)
    return Feed(resource, lambda: informer.run(sink), informer)


SECRET = Kind("", "Secret", "secrets", ("v1",), role=WATCHED[0].role, flux=False)
