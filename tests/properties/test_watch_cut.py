"""A watch that is cut at any byte loses nothing and doubles nothing: over real HTTP, by hypothesis."""

import asyncio
from contextlib import suppress
from itertools import repeat

import orjson
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.kube.client import connect_dict
from daemon.kube.informer import Informer
from daemon.model.ports import Json
from daemon.runtime.clock import ScaledClock
from daemon.simulator.server import kubeconfig

GROUP, VERSION, PLURAL, KIND = "kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization"
BASE = f"/apis/{GROUP}"


def thing(name: str, version: int) -> dict[str, object]:
    metadata = {"name": name, "namespace": "apps", "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": metadata, "spec": {"text": "ä€𝄞\\n" * 3}}


STORY: list[tuple[str, dict[str, object]]] = [
    ("ADDED", thing("b", 11)),
    ("MODIFIED", thing("a", 12)),
    ("BOOKMARK", {"kind": KIND, "metadata": {"resourceVersion": "13"}}),
    ("DELETED", thing("b", 14)),
    ("ADDED", thing("c", 15)),
    ("MODIFIED", thing("c", 16)),
]
LINES = [orjson.dumps({"type": kind, "object": item}) + b"\n" for kind, item in STORY]
LENGTH = sum(map(len, LINES))


class Server:
    """Serves one list at version 10 and the story after it; the first watches are cut where they are told."""

    def __init__(self, cuts: list[int]) -> None:
        self.cuts = cuts
        self.watches = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(BASE, self._group)
        app.router.add_get(f"{BASE}/{VERSION}", self._resources)
        app.router.add_get(f"{BASE}/{VERSION}/{PLURAL}", self._things)
        return app

    async def _group(self, _request: web.Request) -> web.Response:
        version = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        return web.json_response({"versions": [version], "preferredVersion": version})

    async def _resources(self, _request: web.Request) -> web.Response:
        return web.json_response({"resources": [{"name": PLURAL, "kind": KIND, "namespaced": True}]})

    async def _things(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            listed = {"apiVersion": f"{GROUP}/{VERSION}", "kind": f"{KIND}List", "metadata": {"resourceVersion": "10"}}
            return web.json_response({**listed, "items": [thing("a", 9)]})
        since = int(request.query["resourceVersion"])
        after = [line for line, (_, item) in zip(LINES, STORY, strict=True) if _version(item) > since]
        response = web.StreamResponse()
        await response.prepare(request)
        self.watches += 1
        rest = b"".join(after)
        if self.cuts:
            await response.write(rest[: self.cuts.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(rest)
        with suppress(ConnectionResetError):
            await asyncio.sleep(30)
        return response


def _version(item: dict[str, object]) -> int:
    return int(item["metadata"]["resourceVersion"])  # type: ignore[index]


class Recorder:
    """What was told, with versions."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.lists = 0

    def changed(self, raw: Json, *, initial: bool) -> None:
        metadata = raw["metadata"]
        word = "listed" if initial else "changed"
        self.told.append((word, metadata["name"], metadata["resourceVersion"]))  # type: ignore[index]

    def gone(self, raw: Json) -> None:
        self.told.append(("gone", raw["metadata"]["name"], ""))  # type: ignore[index]

    def synced(self) -> None:
        self.lists += 1

    def stale(self, reason: str, *, absent: bool) -> None:
        raise AssertionError(f"a cut is no staleness: {reason} {absent}")


TOLD = [
    ("listed", "a", "9"),
    ("changed", "b", "11"),
    ("changed", "a", "12"),
    ("gone", "b", ""),
    ("changed", "c", "15"),
    ("changed", "c", "16"),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, LENGTH), min_size=1, max_size=3))
async def test_f012_a_watch_cut_at_any_byte_loses_nothing_and_doubles_nothing(cuts):
    server = Server(list(cuts))
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    sink = Recorder()
    try:
        async with await connect_dict("c", kubeconfig(url)) as client:
            informer = Informer(client, GROUP, KIND, ScaledClock(500.0), repeat(repeat(1.0)))
            task = asyncio.ensure_future(informer.run(sink))  # noqa: TID251 - a test may own a task
            async with asyncio.timeout(20):
                while len(sink.told) < len(TOLD) or server.cuts:
                    await asyncio.sleep(0.002)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    finally:
        await runner.cleanup()
    assert sink.told == TOLD
    assert sink.lists == 1
