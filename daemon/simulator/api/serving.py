"""The HTTP face of the simulated API server: one handler, real status codes, real bodies."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from daemon.model.ports import Clock
from daemon.simulator.api import discovery, writing
from daemon.simulator.api.errors import ApiError, forbidden
from daemon.simulator.api.faults import Asked, Failure, Faults
from daemon.simulator.api.paths import Target, parse
from daemon.simulator.api.store import Store
from daemon.simulator.api.watching import Watching, listed, shown, wants_partial, wants_partial_list

Json = dict[str, Any]
Extra = Callable[[web.Request, Target], Awaitable[web.StreamResponse | None]]

LARGEST = 3 * 1024 * 1024
"""Bytes of a request body, the API server's own limit."""
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class ApiServer:
    """Answers requests from a store. `extra` may answer a subresource (logs, exec) that the store knows nothing of."""

    def __init__(self, store: Store, faults: Faults, clock: Clock, extra: Extra | None = None) -> None:
        self.store = store
        self.faults = faults
        self.clock = clock
        self.watching = Watching(store, faults, clock)
        self._extra = extra

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(client_max_size=LARGEST)
        app.router.add_route("*", "/{path:.*}", self.handle)
        app.on_shutdown.append(self._close)
        return app

    async def _close(self, _app: web.Application) -> None:
        self.watching.closing = True
        self.faults.answer()
        self.store.pulse()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        try:
            return await self._answer(request)
        except ApiError as error:
            headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
            return _json(error.body(), error.code, headers)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        found = None if request.path == REVIEW else discovery.answer(request.path, self.store.resources)
        target = None
        if found is None and request.path != REVIEW:
            target = parse(request.method, request.path, request.query, self.store.resources)
        verb, resource = (target.verb, target.right) if target else ("get", "")
        self.faults.asked.append(
            Asked(self.clock.monotonic(), verb, resource, request.method, request.path, request.query_string)
        )
        await self.faults.pass_through()
        if self.faults.latency:
            await self.clock.sleep(self.faults.latency)
        self._authenticate(request)
        if failure := self.faults.failure(verb, resource, after_write=False):
            return _failed(request, failure)
        if target is None:
            return await self._about(request, found)
        if self.faults.denies(verb, resource):
            raise forbidden(self.faults.user, verb, target.resource, target.namespace, target.name)
        response = await self._carry_out(request, target)
        if failure := self.faults.failure(verb, resource, after_write=True):
            return _failed(request, failure)
        return response

    def _authenticate(self, request: web.Request) -> None:
        tokens = self.faults.tokens
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if tokens is not None and (scheme != "Bearer" or token not in tokens):
            raise ApiError(401, "Unauthorized")

    async def _about(self, request: web.Request, found: Json | str | None) -> web.Response:
        if found is None:
            return _json(self._review(await _body(request)), 201)
        return web.Response(text=found) if isinstance(found, str) else _json(found)

    def _review(self, body: Json) -> Json:
        asked = body.get("spec", {}).get("resourceAttributes") or {}
        sub = f"/{asked['subresource']}" if asked.get("subresource") else ""
        group = f".{asked['group']}" if asked.get("group") else ""
        denied = self.faults.denies(asked.get("verb", ""), f"{asked.get('resource', '')}{sub}{group}")
        status = {"allowed": not denied} | ({"reason": "denied by the simulator"} if denied else {})
        return body | {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": status}

    async def _carry_out(self, request: web.Request, target: Target) -> web.StreamResponse:
        if target.subresource and not (target.subresource == "status" and target.resource.status):
            answered = await self._extra(request, target) if self._extra else None
            if answered is None:
                raise ApiError(404, "the server could not find the requested resource")
            return answered
        accept = request.headers.get("Accept", "")
        partial = wants_partial(accept)
        match target.verb:
            case "watch" if wants_partial_list(accept):
                return web.Response(content_type="application/json")  # as the real one: it opens, and is empty
            case "list" if partial and not wants_partial_list(accept):
                raise ApiError(406, "you requested PartialObjectMetadata, but the requested object is a list")
            case "watch":
                return await self.watching.serve(request, target)
            case "list":
                answer = listed(self.store, target, request.query, partial=partial)
            case "get":
                item = self.store.get(target.resource, target.namespace, target.name)
                answer = shown(item, target, partial=partial)
            case "delete":
                body = await _body(request) if request.can_read_body else {}
                answer = writing.delete(self.store, target, body, request.query, self.faults.admit)
            case "deletecollection":
                answer = writing.delete_all(self.store, target, request.query)
            case _:
                return await self._write(request, target)
        return _json(answer)

    async def _write(self, request: web.Request, target: Target) -> web.Response:
        body = await _body(request)
        write = writing.write_of(target, request.query, request.headers.get("User-Agent", ""))
        admit = self.faults.admit
        if target.verb == "patch":
            kind = request.content_type
            force = request.query.get("force") == "true"
            item, made = writing.patch(self.store, target, body, write, admit, kind=kind, force=force)
            return _json(shown(item, target, partial=False), 201 if made else 200)
        if not isinstance(body, dict):
            raise ApiError(400, "the object provided is unrecognized (must be an object)")
        if target.verb == "create":
            item = writing.create(self.store, target, body, write, admit)
            return _json(shown(item, target, partial=False), 201)
        return _json(shown(writing.update(self.store, target, body, write, admit), target, partial=False))


async def _body(request: web.Request) -> Any:
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"couldn't get version/kind; json parse error: {error}") from error


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)


def _failed(request: web.Request, failure: Failure) -> web.Response:
    if failure.status:
        raise ApiError(failure.status, failure.message, retry_after=failure.retry_after)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
