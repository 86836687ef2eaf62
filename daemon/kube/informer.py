"""List, then watch, resume, relist: the present objects of one kind as a stream of deltas, with an age.

Between two lists it follows the watch from the version it knows; whatever goes wrong it keeps its place, and lists
again only when the server says that the place is gone. A relist is compared with what was known, so a deletion nobody
saw is reported. It remembers uid and version of each object, not the object.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson

from daemon.kube.answers import status_error
from daemon.kube.client import PAGE, KubeCluster
from daemon.model.errors import ClusterError, Forbidden, Gone, Invalid, NotFound, Unauthorized, Unreachable
from daemon.model.ports import Clock, Json

WATCH_SECONDS = 270.0
"""How long the server is asked to keep a watch: between client-go's 5 minutes and half of it, with jitter."""
SILENCE = 90.0
"""Seconds without a byte before a stream is taken for dead; bookmarks come about once a minute, unpromised."""
ABSENT_EVERY = 10.0
"""Seconds between two looks for a kind that is not installed (fault 16)."""
FORBIDDEN_EVERY = 60.0
"""Seconds between two tries without the right (fault 19)."""
BLIND_AFTER = 60.0
"""Seconds without a good answer until the kind is called stale (fault 13)."""
HOT = 1.0
"""A watch that ends sooner than this without an event is a fault, and waited for like one."""
TOO_LARGE = "Too large resource version"


class Sink(Protocol):
    """Where the deltas of one kind go."""

    def changed(self, raw: Json, *, initial: bool) -> None:
        """Take an object that is there."""
        ...

    def gone(self, raw: Json) -> None:
        """Take an object that was deleted; of one that a relist missed only kind and metadata are known."""
        ...

    def synced(self) -> None:
        """Take note that a whole list was given."""
        ...

    def stale(self, reason: str, *, absent: bool) -> None:
        """Take note that the kind cannot be heard."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of an object: enough to know a duplicate, an older state, and a deletion."""

    uid: str
    version: str
    namespace: str
    name: str


class Informer:
    """One kind of one cluster."""

    def __init__(
        self,
        cluster: KubeCluster,
        group: str,
        kind: str,
        clock: Clock,
        delays: Iterator[Iterator[float]],
        *,
        labels: str = "",
        metadata_only: bool = False,
    ) -> None:
        """Follow this kind; `delays` gives a fresh row of waits for each series of faults."""
        self._cluster = cluster
        self._group = group
        self._kind = kind
        self._clock = clock
        self._series = delays
        self._labels = labels
        self._metadata_only = metadata_only
        self._known: dict[tuple[str, str], Seen] = {}
        self._version = ""
        self._api_version = ""
        self._listed = False
        self._told_stale = False
        self._silence = SILENCE
        self.last_heard = clock.monotonic()
        self.lists = 0
        self.watches = 0
        self.skipped = 0

    @property
    def age(self) -> float:
        """Return the seconds since the server last said anything about this kind."""
        return self._clock.monotonic() - self.last_heard

    async def run(self, sink: Sink) -> None:
        """Follow the kind until cancelled."""
        waits = next(self._series)
        while True:
            try:
                if not self._version:
                    await self._relist(sink)
                heard = await self._follow(sink)
                waits = next(self._series) if heard else waits
                if not heard:
                    await self._clock.sleep(next(waits))
            except Gone:
                self._version = ""
            except NotFound as error:
                await self._absent(sink, error)
            except Forbidden as error:
                self._stale(sink, str(error))
                await self._clock.sleep(FORBIDDEN_EVERY)
            except (Unreachable, Unauthorized, Invalid) as error:
                await self._pause(sink, error, next(waits))

    async def _relist(self, sink: Sink) -> None:
        """Give the whole list: what is new or changed, then what is missing from it."""
        self.lists += 1
        found: dict[tuple[str, str], Seen] = {}
        initial = not self._listed
        version = ""
        async for page in self._pages():
            version = _metadata(page, "resourceVersion")
            self._remember_kind(page)
            for raw in _items(page):
                seen = _seen(raw)
                found[seen.namespace, seen.name] = seen
                before = self._known.get((seen.namespace, seen.name))
                if before is None or (before.uid, before.version) != (seen.uid, seen.version):
                    if before is not None and before.uid != seen.uid:
                        sink.gone(self._tombstone(before))
                    sink.changed(self._whole(raw), initial=initial)
        for key, before in self._known.items():
            if key not in found:
                sink.gone(self._tombstone(before))
        self._known, self._version, self._listed = found, version, True
        self._heard()
        self._told_stale = False
        sink.synced()

    async def _pages(self) -> AsyncIterator[Json]:
        """Yield the pages of a list; when a token has expired, one list without pages (fault 2)."""
        token, limit = "", PAGE
        while True:
            try:
                page = await self._page(token, limit)
            except Gone:
                if not token:
                    raise
                token, limit = "", 0
                continue
            yield page
            token = _metadata(page, "continue")
            if not token:
                return

    async def _page(self, token: str, limit: int) -> Json:
        return await self._cluster.page(
            self._group,
            self._kind,
            labels=self._labels,
            metadata_only=self._metadata_only,
            token=token,
            limit=limit,
        )

    async def _follow(self, sink: Sink) -> bool:
        """Follow one watch to its end; say whether it was a good one."""
        self.watches += 1
        begun = self._clock.monotonic()
        heard = bookmarks = 0
        async with self._cluster.watch(
            self._group,
            self._kind,
            version=self._version,
            seconds=WATCH_SECONDS,
            silence=self._silence,
            labels=self._labels,
            metadata_only=self._metadata_only,
        ) as lines:
            self._recovered(sink)
            try:
                async for line in lines:
                    heard += 1
                    bookmarks += self._take(sink, line)
            except Unreachable:
                if heard == 0 and self._clock.monotonic() - begun >= self._silence:
                    self._silence = WATCH_SECONDS + SILENCE
                raise
        if bookmarks:
            self._silence = SILENCE
        return heard > 0 or self._clock.monotonic() - begun >= HOT

    def _take(self, sink: Sink, line: bytes) -> bool:
        """Take one line; say whether it was a bookmark. A line that is no JSON is skipped and counted."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            self.skipped += 1
            return False
        raw = event.get("object") if isinstance(event, dict) else None
        if not isinstance(raw, dict):
            self.skipped += 1
            return False
        self._heard()
        kind = event.get("type")
        if kind == "ERROR":
            raise _in_stream(status_error(raw, f"watch {self._kind}"), raw)
        self._version = _metadata(raw, "resourceVersion") or self._version
        if kind != "BOOKMARK":
            self._apply(sink, str(kind), raw)
        return bool(kind == "BOOKMARK")

    def _apply(self, sink: Sink, kind: str, raw: Json) -> None:
        seen = _seen(raw)
        key = (seen.namespace, seen.name)
        before = self._known.get(key)
        if kind == "DELETED":
            if before is not None and before.uid == seen.uid:
                del self._known[key]
                sink.gone(raw)
            return
        if before is not None and before.uid == seen.uid and not _is_newer(seen, before):
            return
        if before is not None and before.uid != seen.uid:
            sink.gone(self._tombstone(before))
        self._known[key] = seen
        sink.changed(raw, initial=False)

    async def _absent(self, sink: Sink, error: NotFound) -> None:
        """The kind is not (or no longer) installed: what was known is gone, and it is looked for again soon."""
        for before in self._known.values():
            sink.gone(self._tombstone(before))
        self._known, self._version = {}, ""
        self._cluster.discovery.forget(self._group)
        self._told_stale = True
        sink.stale(str(error), absent=True)
        await self._clock.sleep(ABSENT_EVERY)

    async def _pause(self, sink: Sink, error: ClusterError, wait: float) -> None:
        if TOO_LARGE in str(error):
            self._version = ""
        if isinstance(error, Invalid):
            self._version = ""
        if not self._listed or self.age > BLIND_AFTER:
            self._stale(sink, str(error))
        await self._clock.sleep(max(wait, error.after or 0.0))

    def _stale(self, sink: Sink, reason: str) -> None:
        self._told_stale = True
        sink.stale(reason, absent=False)

    def _recovered(self, sink: Sink) -> None:
        """A watch that opens again from a known version means nothing was lost: in sync without a list."""
        self._heard()
        if self._told_stale and self._listed:
            self._told_stale = False
            sink.synced()

    def _heard(self) -> None:
        self.last_heard = self._clock.monotonic()

    def _remember_kind(self, page: Json) -> None:
        version = page.get("apiVersion")
        self._api_version = version if isinstance(version, str) else self._api_version

    def _whole(self, raw: Json) -> Json:
        """Return an item of a list with the kind and version that lists leave out."""
        if "kind" in raw:
            return raw
        return {**raw, "apiVersion": self._api_version, "kind": self._kind}

    def _tombstone(self, seen: Seen) -> Json:
        metadata = {"name": seen.name, "namespace": seen.namespace, "uid": seen.uid}
        return {"apiVersion": self._api_version or f"{self._group}/v1", "kind": self._kind, "metadata": metadata}


def _in_stream(error: ClusterError, status: Mapping[str, object]) -> ClusterError:
    """Return what an ERROR object means: an unknown one is worth another try from the same place."""
    expired = status.get("reason") in ("Expired", "Gone")
    if expired and not isinstance(error, Gone):
        return Gone(str(error), status=410)
    return error


def _is_newer(seen: Seen, before: Seen) -> bool:
    if seen.version.isdecimal() and before.version.isdecimal():
        return int(seen.version) > int(before.version)
    return seen.version != before.version


def _seen(raw: Json) -> Seen:
    return Seen(
        _metadata(raw, "uid"), _metadata(raw, "resourceVersion"), _metadata(raw, "namespace"), _metadata(raw, "name")
    )


def _metadata(raw: Json, name: str) -> str:
    metadata = raw.get("metadata")
    value = metadata.get(name) if isinstance(metadata, dict) else None  # as orjson gives it
    return value if isinstance(value, str) else ""


def _items(page: Json) -> list[dict[str, object]]:
    items = page.get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
