"""Raw JSON verbs on one cluster, over kubernetes_asyncio's configuration, authentication and TLS.

The library gives no time limit of its own and, for raw answers, does not look at the status: both are ours here. A
401 re-reads the credentials once. Nothing is retried: that is for the lanes and the informers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import quote

import aiohttp
import orjson
import yaml
from aiohttp.http_exceptions import LineTooLong
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config.config_exception import ConfigException

from daemon import __version__
from daemon.kube.answers import error_of
from daemon.kube.discovery import Discovery, Served
from daemon.model.errors import ConfigError, Gone, Problem, Unauthorized, Unreachable
from daemon.model.ports import Json
from daemon.model.refs import ObjectRef

MANAGER = "fluxmedic"
"""Our field manager. A name that begins with kubectl would be reverted by kustomize-controller (flux.md 7.5)."""
REQUEST_LIMIT = 30.0
"""Seconds one ordinary request may take: the SLO for lists (kubernetes slos.md)."""
CONNECT_LIMIT = 10.0
PAGE = 500
"""Objects a page, as client-go's."""
LINE_LIMIT = 8 * 1024 * 1024
"""Bytes of one line of a watch: an object is 1.5 MB at most, and may be escaped."""
MERGE_PATCH = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1"
"""Only the metadata. A watch must ask for single objects: asked for a list, the API server (1.36) answers 200 and sends
nothing; a list must ask for a list, else it is 406.
"""
UNREADABLE = (ConfigException, OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError)
"""What the library raises for a kubeconfig that it cannot use."""


class KubeCluster:
    """The Cluster port over one API server."""

    def __init__(self, name: str, api: ApiClient, renew: Callable[[], Awaitable[None]] | None = None) -> None:
        """Speak through this client under the cluster's name; `renew` reads its credentials again."""
        self.name = name
        self._api = api
        self._renew = renew
        self.discovery = Discovery(self._read)

    async def __aenter__(self) -> Self:
        """Use it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._api.close()

    async def get(self, ref: ObjectRef) -> Json:
        """Read one object; NotFound when it is not there."""
        path = await self._path(ref.group, ref.kind, ref.namespace, ref.name)
        return await self._read(path, f"get {ref}")

    async def list(
        self, group: str, kind: str, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> list[Json]:
        """Read all objects of a kind, page by page."""
        found: list[Json] = []
        token = ""
        while True:
            page = await self.page(
                group, kind, namespace=namespace, labels=labels, metadata_only=metadata_only, token=token
            )
            items = page.get("items")
            found += items if isinstance(items, list) else []
            token = _continue(page)
            if not token:
                return found

    async def page(
        self,
        group: str,
        kind: str,
        *,
        namespace: str = "",
        labels: str = "",
        metadata_only: bool = False,
        token: str = "",
        version: str = "",
        limit: int = PAGE,
    ) -> Json:
        """Read one page of a list; limit 0 asks for all at once."""
        query = {"limit": str(limit or ""), "continue": token, "labelSelector": labels, "resourceVersion": version}
        path = await self._path(group, kind, namespace)
        return await self._read(path, f"list {kind}", query=query, metadata_only=metadata_only)

    async def patch(self, ref: ObjectRef, body: Json, *, subresource: str = "", dry_run: bool = False) -> Json:
        """Send a JSON merge patch; uid and resourceVersion in the body are preconditions."""
        path = await self._path(ref.group, ref.kind, ref.namespace, ref.name)
        path = f"{path}/{subresource}" if subresource else path
        query = {"fieldManager": MANAGER, "dryRun": "All" if dry_run else ""}
        return await self._call("PATCH", path, f"patch {ref}", query=query, body=body, content=MERGE_PATCH)

    async def delete(self, ref: ObjectRef, *, uid: str, resource_version: str = "", dry_run: bool = False) -> None:
        """Delete one object if it still has this uid (and version)."""
        path = await self._path(ref.group, ref.kind, ref.namespace, ref.name)
        conditions = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
        body: dict[str, object] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        if dry_run:
            body["dryRun"] = ["All"]
        await self._call("DELETE", path, f"delete {ref}", body=body)

    async def create(self, group: str, kind: str, namespace: str, body: Json) -> Json:
        """Create one object."""
        path = await self._path(group, kind, namespace)
        return await self._call("POST", path, f"create {kind}", query={"fieldManager": MANAGER}, body=body)

    async def can_i(self, verb: str, group: str, resource: str, namespace: str = "") -> bool:
        """Ask the API server whether we have a right."""
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._call("POST", path, f"review {verb} {resource}", body=body)
        status = answer.get("status")
        return isinstance(status, Mapping) and status.get("allowed") is True

    async def version(self) -> str:
        """Return the API server's version."""
        return str((await self._read("/version", "version")).get("gitVersion", ""))

    async def server_time(self) -> datetime | None:
        """Return the API server's clock to the second, by the Date of its answer; None when it sends none."""
        limit = aiohttp.ClientTimeout(total=REQUEST_LIMIT, sock_connect=CONNECT_LIMIT)
        response = await self._open("GET", "/version", "version", {}, limit)
        response.release()
        try:
            return parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return None

    @asynccontextmanager
    async def watch(
        self,
        group: str,
        kind: str,
        *,
        version: str,
        seconds: float,
        silence: float,
        labels: str = "",
        metadata_only: bool,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch from a resource version; the lines come without their end. Silence (seconds) breaks it."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(round(seconds)),
            "labelSelector": labels,
        }
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT, sock_read=silence)
        path = await self._path(group, kind, "")
        response = await self._open("GET", path, f"watch {kind}", query, limit, metadata_only=metadata_only)
        try:
            yield _lines(response, f"watch {kind}")
        finally:
            response.close()

    async def _path(self, group: str, kind: str, namespace: str, name: str = "") -> str:
        served: Served = await self.discovery.find(group, kind)
        return served.path(namespace, name)

    async def _read(
        self, path: str, what: str, *, query: Mapping[str, str] | None = None, metadata_only: bool = False
    ) -> Json:
        return await self._call("GET", path, what, query=query, metadata_only=metadata_only)

    async def _call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content: str = "application/json",
        metadata_only: bool = False,
    ) -> Json:
        limit = aiohttp.ClientTimeout(total=REQUEST_LIMIT, sock_connect=CONNECT_LIMIT)
        response = await self._open(method, path, what, query or {}, limit, body, content, metadata_only=metadata_only)
        try:
            parsed = orjson.loads(await response.read())
        except orjson.JSONDecodeError as error:
            raise Unreachable(f"{what}: the answer is not JSON; is this address an API server?") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"{what}: the answer broke off ({type(error).__name__})") from error
        finally:
            response.release()
        return parsed if isinstance(parsed, dict) else {}

    async def _open(
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, str],
        limit: aiohttp.ClientTimeout,
        body: Json | None = None,
        content: str = "application/json",
        *,
        metadata_only: bool = False,
    ) -> aiohttp.ClientResponse:
        """Send a request and return an answer that said 2xx; a 401 is tried once more with fresh credentials."""
        accept = METADATA_ONLY.format(list="" if "watch" in query else "List") if metadata_only else "application/json"
        headers = {"Accept": accept, "Content-Type": content}
        for attempt in (1, 2):
            response = await self._send(method, path, what, query, limit, body, headers)
            if response.status < 300:  # noqa: PLR2004 - HTTP's own border of success
                return response
            error = error_of(response.status, what, await _body(response), response.headers)
            if not isinstance(error, Unauthorized) or attempt == 2:  # noqa: PLR2004 - the second try
                raise error
            await self._refresh()
        raise Unreachable(f"{what}: no answer")

    async def _send(
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, str],
        limit: aiohttp.ClientTimeout,
        body: Json | None,
        headers: dict[str, str],
    ) -> aiohttp.ClientResponse:
        try:
            answer = await self._api.call_api(
                path,
                method,
                {},
                [(key, value) for key, value in query.items() if value],
                headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=limit,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{what}: the API server does not answer ({type(error).__name__})") from error
        if not isinstance(answer, aiohttp.ClientResponse):
            raise Unreachable(f"{what}: an answer of an unexpected kind")
        return answer

    async def _refresh(self) -> None:
        """Read the credentials again: by `renew`, or the in-cluster loader's token file now, not within the minute."""
        if self._renew is not None:
            await self._renew()
        hook = self._api.configuration.refresh_api_key_hook
        loader = getattr(hook, "__self__", None)
        if loader is not None and hasattr(loader, "token_expires_at"):
            loader.token_expires_at = loader.token_expires_at.min.replace(tzinfo=loader.token_expires_at.tzinfo)


async def connect(name: str, kubeconfig: str = "") -> KubeCluster:
    """Return a cluster by kubeconfig (a path), else as a pod. Raises ConfigError when neither is there or readable."""
    logging.getLogger("kubernetes_asyncio.client.rest").setLevel(logging.INFO)  # it logs bodies at DEBUG
    configuration = Configuration()
    try:
        if kubeconfig:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except UNREADABLE as error:
        place = kubeconfig or "the pod's service account"
        why = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(Problem(f"no cluster to connect to: {why}", file=place)) from error
    return KubeCluster(
        name, client_of(configuration), partial(_reload, configuration, kubeconfig) if kubeconfig else None
    )


async def _reload(configuration: Configuration, kubeconfig: str) -> None:
    """Read a kubeconfig again: its token file was rotated, or its plug-in's token has expired (minutes, on EKS)."""
    try:
        await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except UNREADABLE as error:
        raise Unauthorized(f"the credentials of {kubeconfig} cannot be read again: {error}") from error


def client_of(configuration: Configuration) -> ApiClient:
    """Return an API client with our own session: no limit on connections (each watch holds one), TCP keep-alive on."""
    configuration.connection_pool_maxsize = 0
    api = ApiClient(configuration)
    api.user_agent = f"fluxmedic/{__version__}"
    return api


async def connect_dict(name: str, kubeconfig: Mapping[str, object]) -> KubeCluster:
    """Return a cluster by a kubeconfig that is already a dictionary."""
    configuration = Configuration()
    await config.load_kube_config_from_dict(dict(kubeconfig), client_configuration=configuration)
    return KubeCluster(name, client_of(configuration))


def default_kubeconfig(environment: Mapping[str, str]) -> str:
    """Return the kubeconfig that kubectl would use, or nothing inside a pod without one."""
    chosen = environment.get("KUBECONFIG", "")
    home = Path(environment.get("HOME", "/")) / ".kube" / "config"
    if chosen or "KUBERNETES_SERVICE_HOST" in environment:
        return chosen
    return str(home) if home.exists() else ""


async def _lines(response: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
    """Yield whole lines; a last one without its end was cut and is dropped."""
    try:
        while True:
            line = await response.content.readline(max_line_length=LINE_LIMIT)
            if not line.endswith(b"\n"):
                return
            if stripped := line.strip():
                yield stripped
    except (LineTooLong, ValueError) as error:
        # The same version would bring the same line again; a list has no lines, and its version is past it.
        raise Gone(f"{what}: a line of more than {LINE_LIMIT >> 20} MiB") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(f"{what}: the stream broke off ({type(error).__name__})") from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await asyncio.wait_for(response.content.read(65536), CONNECT_LIMIT)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return b""
    finally:
        response.release()


def _continue(page: Json) -> str:
    metadata = page.get("metadata")
    token = metadata.get("continue") if isinstance(metadata, Mapping) else ""
    return token if isinstance(token, str) else ""


def selector(*pairs: tuple[str, str]) -> str:
    """Return a label selector for equal pairs."""
    return ",".join(f"{key}={quote(value, safe='')}" for key, value in pairs)
