"""The one server: pages, API, health, metrics, and the routes that sources offer; the same headers on every answer.

Answers are made by plain functions over the View; nothing here decides anything. Errors never show a trace.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import orjson
from aiohttp import web

from daemon.model.documents import incident_document
from daemon.model.errors import ConfigError, Problem
from daemon.model.ports import Clock, HttpAnswer, HttpRequest, HttpRoute, Readiness, View
from daemon.model.refs import IncidentId
from daemon.web import api
from daemon.web.incident import incident_page
from daemon.web.markup import Markup
from daemon.web.pages import incidents_page, missing_page

STYLE = files("daemon.web").joinpath("style.css").read_text()
"""Calm, readable on a phone, dark where the reader's system is; state is never told by colour alone."""
DEAD_AFTER = 30.0
"""Seconds without a heartbeat of the pump until liveness fails (fault 69)."""
HIGHEST_PORT = 65535
STREAMS = 20
"""Readers of the event stream at once."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the server asks the process itself."""

    readiness: Callable[[], Readiness]
    heartbeat: Callable[[], float]
    """Seconds since the pump last turned."""
    metrics: Callable[[], bytes]


class WebServer:
    """The server before it is bound."""

    def __init__(self, view: View, vitals: Vitals, clock: Clock, routes: Sequence[HttpRoute] = ()) -> None:
        """Answer from this view, and offer these routes besides."""
        self._view = view
        self._vitals = vitals
        self._clock = clock
        self._routes = routes
        self._streams = 0

    @asynccontextmanager
    async def serve(self, bind: str) -> AsyncIterator[str]:
        """Answer at address:port while the context is open; give the address. Raises ConfigError if it is taken."""
        host, _, port = bind.rpartition(":")
        if not port.isdecimal() or int(port) > HIGHEST_PORT:
            raise ConfigError(Problem(f"http.bind must be address:port, not {bind!r}"))
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]") or "0.0.0.0", int(port)).start()  # noqa: S104 - as it was asked
        except OSError as error:
            await runner.cleanup()
            advice = "choose another one with FLUXMEDIC_HTTP__BIND, or stop what uses it"
            raise ConfigError(Problem(f"cannot listen at {bind}: {error.strerror}; {advice}")) from error
        try:
            yield f"http://{host or '127.0.0.1'}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    def app(self) -> web.Application:
        """Return the application with every route."""
        largest = max([route.limit for route in self._routes] or [0])
        app = web.Application(middlewares=[_worded], client_max_size=max(largest, 64 * 1024))
        app.on_response_prepare.append(_guarded)
        add = app.router.add_get
        add("/", self._home)
        add("/incidents/{id}.json", self._incident_json)
        add("/incidents/{id}", self._incident)
        add("/style.css", self._style)
        add("/healthz", self._live)
        add("/readyz", self._ready)
        add("/metrics", self._metrics)
        add("/api/v1/incidents", self._plain(lambda request: api.incidents(self._view, request.query)))
        add("/api/v1/incidents/{id}", self._incident_json)
        add("/api/v1/incidents/{id}/timeline", self._timeline)
        add("/api/v1/objects", self._plain(lambda request: api.objects(self._view, request.query)))
        add("/api/v1/rules", self._plain(lambda _: api.rules(self._view)))
        add("/api/v1/silences", self._plain(lambda _: api.silences(self._view)))
        add("/api/v1/findings", self._plain(lambda _: api.findings(self._view)))
        add("/api/v1/why", self._plain(lambda request: api.why(self._view, request.query)))
        add("/api/v1/readiness", self._plain(lambda _: api.readiness(self._view)))
        add("/api/v1/stream", self._stream)
        for route in self._routes:
            app.router.add_route(route.method, route.path, _offered(route))
        return app

    def _plain(self, answer: Callable[[web.Request], HttpAnswer]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return _response(answer(request))

        return handle

    async def _home(self, request: web.Request) -> web.StreamResponse:
        start = api.number(request.query.get("offset", ""), 0)
        shown = incidents_page(self._view.incidents(), self._vitals.readiness(), self._clock.now(), start)
        return _page(shown)

    async def _incident(self, request: web.Request) -> web.StreamResponse:
        found = self._view.incident(IncidentId(request.match_info["id"]))
        if found is None:
            return _page(missing_page("There is no incident of this name; it may be past its retention."), 404)
        return _page(incident_page(found, self._clock.now()))

    async def _incident_json(self, request: web.Request) -> web.StreamResponse:
        return _response(api.incident(self._view, request.match_info["id"]))

    async def _timeline(self, request: web.Request) -> web.StreamResponse:
        return _response(api.timeline(self._view, request.match_info["id"]))

    async def _style(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=STYLE, content_type="text/css")

    async def _live(self, _request: web.Request) -> web.StreamResponse:
        age = self._vitals.heartbeat()
        alive = age < DEAD_AFTER
        text = "alive\n" if alive else f"the pump has not turned for {age:.0f} s\n"
        return web.Response(text=text, status=200 if alive else 503)

    async def _ready(self, _request: web.Request) -> web.StreamResponse:
        state = self._vitals.readiness()
        document = {"ready": state.ready, "reasons": list(state.reasons), "kinds": dict(state.kinds)}
        return _response(api.as_json(document, 200 if state.ready else 503))

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=self._vitals.metrics(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send each incident as it changes (server-sent events), and a comment every second so that cuts are seen."""
        if self._streams >= STREAMS:
            return _response(api.problem(503, "too many readers of the stream; try again later"))
        self._streams += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        sent: dict[str, object] = {}
        try:
            await response.prepare(request)
            while True:
                for incident in reversed(self._view.incidents()):
                    if sent.get(incident.id) != incident.updated_at:
                        sent[incident.id] = incident.updated_at
                        data = orjson.dumps(incident_document(incident))
                        await response.write(b"event: incident\ndata: " + data + b"\n\n")
                await response.write(b": here\n\n")
                await self._clock.sleep(1)
        finally:
            self._streams -= 1


def _offered(route: HttpRoute) -> Handler:
    """Return the handler of a source's route: its own limit on the body and on the time."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if (request.content_length or 0) > route.limit:
            return web.Response(status=413, text="the body is too large\n")
        try:
            async with asyncio.timeout(route.seconds):
                body = await _body(request, route.limit)
        except TimeoutError:
            return web.Response(status=408, text="the body came too slowly\n")
        if body is None:
            return web.Response(status=413, text="the body is too large\n")
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = HttpRequest(request.method, request.path, headers, body, dict(request.query))
        return _response(await route.handler(asked))

    return handle


async def _body(request: web.Request, limit: int) -> bytes | None:
    """Return the raw body; None past the limit, whatever its length header said."""
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


@web.middleware
async def _worded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an error in one line of plain text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=f"{error.status} {error.reason}\n")


async def _guarded(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the same headers on every answer, faults of our own code included."""
    response.headers.update(HEADERS)


def _page(shown: Markup, status: int = 200) -> web.Response:
    return web.Response(text=str(shown), content_type="text/html", status=status)


def _response(answer: HttpAnswer) -> web.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
