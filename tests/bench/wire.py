"""An API server of one kind that streams a watch written beforehand: it takes little of the client's core."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from tests.bench.matter import Json

GROUP, VERSION, KIND, PLURAL = "kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"
CHUNK = 256


class Wire:
    """Lists its objects; `send` streams lines to the watch that is open."""

    def __init__(self, objects: Sequence[Json]) -> None:
        """List these."""
        self._objects = objects
        self._lines: list[bytes] = []
        self._there = asyncio.Event()
        self.watched = asyncio.Event()

    def send(self, lines: Sequence[bytes]) -> None:
        """Stream these lines, each with its end."""
        self._lines = list(lines)
        self._there.set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Answer on loopback; give the address."""
        app = web.Application()
        app.router.add_get(f"/apis/{GROUP}", self._group)
        app.router.add_get(f"/apis/{GROUP}/{VERSION}", self._kinds)
        app.router.add_get(f"/apis/{GROUP}/{VERSION}/{PLURAL}", self._collection)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _group(self, _request: web.Request) -> web.Response:
        version = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
        return web.json_response(
            {"kind": "APIGroup", "name": GROUP, "versions": [version], "preferredVersion": version}
        )

    async def _kinds(self, _request: web.Request) -> web.Response:
        kinds = [{"name": PLURAL, "kind": KIND, "namespaced": True, "verbs": ["list", "watch"]}]
        return web.json_response({"kind": "APIResourceList", "groupVersion": f"{GROUP}/{VERSION}", "resources": kinds})

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self._watch(request)
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or len(self._objects))
        end = start + limit
        meta = {"resourceVersion": "1"} | ({"continue": str(end)} if end < len(self._objects) else {})
        items = self._objects[start:end]
        page = {"kind": f"{KIND}List", "apiVersion": f"{GROUP}/{VERSION}", "metadata": meta, "items": items}
        return web.Response(body=orjson.dumps(page), content_type="application/json")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self.watched.set()
        while True:
            await self._there.wait()
            self._there.clear()
            lines, self._lines = self._lines, []
            for start in range(0, len(lines), CHUNK):
                await response.write(b"".join(lines[start : start + CHUNK]))
