"""A proxy before the API server that can mute the watch of one kind: the stream stays open and says nothing more.

Plain HTTP towards the daemon, TLS and the administrator's token towards the API server. Everything else passes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.cluster.api import Api

HOP = frozenset({"transfer-encoding", "connection", "content-length", "content-encoding", "host", "authorization"})


class Mute:
    """The proxy; `muted` holds plurals whose watches are silent."""

    def __init__(self, api: Api) -> None:
        """Stand before this API server."""
        self._api = api
        self.muted: set[str] = set()
        self.watches: list[str] = []

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        assert self._api._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        address = f"{self._api.server}{request.path_qs}"
        body = await request.read()
        limit = aiohttp.ClientTimeout(total=None)
        async with self._api._session.request(
            request.method, address, headers=headers, data=body, timeout=limit
        ) as answer:
            given = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            response = web.StreamResponse(status=answer.status, headers=given)
            await response.prepare(request)
            plural = request.path.rsplit("/", 1)[1]
            if "watch" in request.query:
                self.watches.append(plural)
            async for part in answer.content.iter_any():
                if "watch" not in request.query or plural not in self.muted:
                    await response.write(part)
            return response

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Listen until the end of the story; give the address."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self._pass)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
