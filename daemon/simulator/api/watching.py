"""LIST and WATCH: pages, windows, bookmarks, selectors, and the watch's faults.

Limit: a page shows the present state after the last key of the page before; versions of a list are those of its
first page, so a watch from there sees what moved meanwhile.
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, web

from daemon.model.ports import Clock
from daemon.simulator.api.errors import ApiError, expired_token
from daemon.simulator.api.faults import Faults
from daemon.simulator.api.paths import Target
from daemon.simulator.api.selectors import Test, selector
from daemon.simulator.api.store import Change, Store

Json = dict[str, Any]

BOOKMARK_EVERY = 60.0
"""Seconds between bookmarks, as the API server's watch cache sends them."""
LONGEST = 1800.0
"""Seconds of a watch without timeoutSeconds; the API server draws from 30 to 60 minutes."""


def shown(item: Json, target: Target, *, partial: bool) -> Json:
    """Return an object in the version asked for, or only its metadata."""
    if partial:
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
    return item | {"kind": target.resource.kind, "apiVersion": target.api_version}


def wants_partial(accept: str) -> bool:
    """Say whether the Accept header asks for metadata alone."""
    return "as=PartialObjectMetadata" in accept


def wants_partial_list(accept: str) -> bool:
    """Say whether it asks for a list of metadata, which fits a list alone."""
    return "as=PartialObjectMetadataList" in accept


def listed(store: Store, target: Target, query: Mapping[str, str], *, partial: bool) -> Json:
    """Return one page of a list. Raises ApiError 400, 410, 504."""
    test = _test(target, query)
    after, version = ("", ""), store.version
    if token := query.get("continue"):
        after, version = _read_token(token)
        if version < store.since_version(target.resource):
            raise expired_token()
    asked = query.get("resourceVersion", "")
    if asked.isdigit() and int(asked) > store.version:
        raise ApiError(504, f"Too large resource version: {asked}, current: {store.version}", retry_after=1)
    rows = [item for item in store.all(target.resource, target.namespace) if _key(item) > after and test(item)]
    limit = int(query.get("limit") or 0)
    page = rows[:limit] if limit else rows
    meta: Json = {"resourceVersion": str(version)}
    if len(page) < len(rows):
        meta |= {"continue": _make_token(_key(page[-1]), version), "remainingItemCount": len(rows) - len(page)}
    kind = "PartialObjectMetadataList" if partial else f"{target.resource.kind}List"
    api_version = "meta.k8s.io/v1" if partial else target.api_version
    items = [shown(item, target, partial=partial) for item in page]
    return {"kind": kind, "apiVersion": api_version, "metadata": meta, "items": items}


async def _woken(wake: asyncio.Event) -> None:
    await wake.wait()


def _key(item: Json) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _test(target: Target, query: Mapping[str, str]) -> Test:
    return selector(target.resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))


def _make_token(key: tuple[str, str], version: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([*key, version])).decode()


def _read_token(token: str) -> tuple[tuple[str, str], int]:
    try:
        namespace, name, version = orjson.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise ApiError(400, "continue key is not valid") from error
    return (str(namespace), str(name)), int(version)


@dataclass(slots=True)
class Stream:
    """One open watch: where it stands, and until when it runs (monotonic seconds)."""

    target: Target
    partial: bool
    test: Test
    position: int
    ends: float
    bookmark: float
    cuts: int
    injected: int


class Watching:
    """Serves watches of one store."""

    def __init__(self, store: Store, faults: Faults, clock: Clock) -> None:
        self.store = store
        self.faults = faults
        self.clock = clock
        self.open: dict[str, int] = {}
        self.closing = False

    async def serve(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Stream changes until the time is over, a fault ends it or the client goes."""
        stream = self._open(request, target)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        first = self._first(request.query, stream)
        await response.prepare(request)
        resource = target.resource.id
        self.open[resource] = self.open.get(resource, 0) + 1
        try:
            for line in first:
                await response.write(line)
            await self._run(request, response, stream)
        except (ClientConnectionResetError, ConnectionResetError):
            pass  # The client went away; nothing is owed to it.
        finally:
            self.open[resource] -= 1
        return response

    def _open(self, request: web.Request, target: Target) -> Stream:
        query, now = request.query, self.clock.monotonic()
        return Stream(
            target,
            wants_partial(request.headers.get("Accept", "")),
            _test(target, query),
            self.store.version,
            now + float(query.get("timeoutSeconds") or LONGEST),
            now + BOOKMARK_EVERY if query.get("allowWatchBookmarks") in ("1", "true") else float("inf"),
            self.faults.cut_count(target.resource.id),
            len(self.faults.injected),
        )

    def _first(self, query: Mapping[str, str], stream: Stream) -> list[bytes]:
        asked = query.get("resourceVersion", "")
        if query.get("sendInitialEvents") == "true" or asked in ("", "0"):
            rows = self.store.all(stream.target.resource, stream.target.namespace)
            lines = [self._line("ADDED", item, stream) for item in rows if stream.test(item)]
            if query.get("sendInitialEvents") == "true":
                lines.append(self._bookmark(stream, {"k8s.io/initial-events-end": "true"}))
            return lines
        if not asked.isdigit():
            raise ApiError(400, f'invalid resource version "{asked}"')
        stream.position = int(asked)
        if stream.position > self.store.version:
            message = f"Too large resource version: {asked}, current: {self.store.version}"
            raise ApiError(504, message, retry_after=1)
        if self.faults.gone_as_status:
            self.store.since(stream.target.resource, stream.position)
        return []

    async def _run(self, request: web.Request, response: web.StreamResponse, stream: Stream) -> None:
        resource = stream.target.resource.id
        with self.store.woken() as wake:
            while not self.closing:
                wake.clear()
                if self.faults.cut_count(resource) != stream.cuts:
                    await self._cut(request, response)
                    return
                rest = LONGEST
                if not self.faults.muted(resource):
                    now = self.clock.monotonic()
                    lines, over = self._due(stream, now)
                    for line in lines:
                        await response.write(line)
                    if over or now >= stream.ends:
                        return
                    rest = max(0.01, min(stream.ends, stream.bookmark) - now)
                await self.clock.within(rest, _woken(wake))

    def _due(self, stream: Stream, now: float) -> tuple[list[bytes], bool]:
        lines = [
            line for name, line in self.faults.injected[stream.injected :] if name in ("*", stream.target.resource.id)
        ]
        stream.injected = len(self.faults.injected)
        try:
            changes = self.store.since(stream.target.resource, stream.position)
        except ApiError as error:
            return [*lines, orjson.dumps({"type": "ERROR", "object": error.body()}) + b"\n"], True
        if (
            self.store.resources.at(stream.target.resource.group, stream.target.version, stream.target.resource.plural)
            is None
        ):
            return lines, True
        for change in changes:
            kind = self._kind(change, stream)
            if kind:
                lines.append(self._line(kind, change.new, stream))
        stream.position = self.store.version
        if now >= stream.bookmark:
            stream.bookmark = now + BOOKMARK_EVERY
            if not self.faults.no_bookmarks:
                lines.append(self._bookmark(stream, {}))
        return lines, False

    def _kind(self, change: Change, stream: Stream) -> str:
        namespace = stream.target.namespace
        if namespace and change.new["metadata"].get("namespace") != namespace:
            return ""
        after = change.type != "DELETED" and stream.test(change.new)
        before = change.old is not None and stream.test(change.old)
        if before and after:
            return "MODIFIED"
        return "ADDED" if after else "DELETED" if before else ""

    def _line(self, kind: str, item: Json, stream: Stream) -> bytes:
        item = shown(item, stream.target, partial=stream.partial)
        return orjson.dumps({"type": kind, "object": item}) + b"\n"

    def _bookmark(self, stream: Stream, annotations: Json) -> bytes:
        meta: Json = {"resourceVersion": str(max(stream.position, 1)), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        item = {"kind": stream.target.resource.kind, "apiVersion": stream.target.api_version, "metadata": meta}
        if stream.partial:
            item |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return orjson.dumps({"type": "BOOKMARK", "object": item}) + b"\n"

    async def _cut(self, request: web.Request, response: web.StreamResponse) -> None:
        if self.faults.cut_inside:
            await response.write(b'{"type":"MODIFIED","object":{"kind":"Kus')
        if request.transport is not None:
            request.transport.abort()
