"""The far sides of a mortal daemon: Slack and a cluster of one object, which may kill it in the middle of a request.

They live in the test's process, so they remember across the daemon's lives. A point is `got X` (the request has come,
nothing is done yet) or `took X` (it is done, nobody has been told).
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.runtime.clock import SystemClock
from daemon.simulator.slack import FakeSlack

CALLS = {
    "chat.update": "edit",
    "conversations.history": "history",
    "conversations.replies": "replies",
}
HEALS_AFTER = 8
"""Looks at the object after the effect until it is well: as long as it still fails, a careless daemon acts again."""
DEATH = 0.02
"""Seconds a killed process gets to be gone before its request is answered."""


class Killer:
    """Knows whom to kill and where; does it once."""

    def __init__(self) -> None:
        self.pid = 0
        self.where = ""
        self.passed: list[str] = []

    async def at(self, point: str) -> None:
        """Kill the daemon if this is where it must die."""
        self.passed.append(point)
        if point == self.where:
            self.where = ""
            os.kill(self.pid, signal.SIGKILL)
            await asyncio.sleep(DEATH)

    def wrap(self, name: Callable[[web.Request], Awaitable[str]]) -> Middleware:
        """Return a middleware with a point before and after each request."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            what = await name(request)
            await self.at(f"got {what}")
            answer = await handler(request)
            await self.at(f"took {what}")
            return answer

        return middleware


class DeadlySlack(FakeSlack):
    """The fake Slack, with a point before and after each call."""

    def __init__(self, killer: Killer) -> None:
        super().__init__(SystemClock())
        self._killer = killer

    def app(self) -> web.Application:
        app = super().app()
        app.middlewares.append(self._killer.wrap(called))
        return app


class DeadlyCluster:
    """One object that fails until somebody acts on it, and what was done to it."""

    def __init__(self, killer: Killer) -> None:
        self._killer = killer
        self.effects: list[str] = []
        self.looks = 0

    @property
    def well(self) -> bool:
        """Say whether the effect has healed the object."""
        return self.looks > HEALS_AFTER

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application(middlewares=[self._killer.wrap(asked)])
        app.router.add_get("/object", self._object)
        app.router.add_get("/effects/{token}", self._look)
        app.router.add_post("/effects/{token}", self._act)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _object(self, _request: web.Request) -> web.Response:
        self.looks += bool(self.effects)
        return web.json_response({"version": 2 if self.well else 1, "well": self.well})

    async def _look(self, request: web.Request) -> web.Response:
        return web.json_response(request.match_info["token"] in self.effects)

    async def _act(self, request: web.Request) -> web.Response:
        self.effects.append(request.match_info["token"])
        return web.json_response({})


async def called(request: web.Request) -> str:
    """Return what a call to Slack is, in the words of the points."""
    method = request.match_info.get("method", "")
    if method != "chat.postMessage":
        return CALLS[method]
    return "line" if b"thread_ts" in await request.read() else "root"


async def asked(request: web.Request) -> str:
    """Return what a call to the cluster is."""
    if request.path == "/object":
        return "object"
    return "effect" if request.method == "POST" else "look"
