"""A thin client of the API server for the stories: apply, read, patch, delete by kind and name.

Independent of the product's own client, so that a fault there cannot hide itself here.
"""

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import load_kube_config

FIELD_MANAGER = "story"
CLUSTER_SCOPED = frozenset(
    {
        "Namespace",
        "Node",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
)
VERSIONS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "HelmChart": "source.toolkit.fluxcd.io/v1",
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "Bucket": "source.toolkit.fluxcd.io/v1",
    "Provider": "notification.toolkit.fluxcd.io/v1beta3",
    "Alert": "notification.toolkit.fluxcd.io/v1beta3",
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
}
"""The version of each kind a story names; anything else is core/v1."""

Raw = dict[str, Any]


class ApiError(Exception):
    """The API server refused; `code` is its HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        """Keep the code beside the words."""
        super().__init__(f"{code}: {text}")
        self.code = code


def path_of(kind: str, namespace: str = "", name: str = "") -> str:
    """Return the path of a kind's collection, or of one object."""
    version = VERSIONS.get(kind, "v1")
    lowered = kind.lower()
    plural = f"{lowered[:-1]}ies" if lowered.endswith("y") else f"{lowered}s"
    place = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_SCOPED else ""
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{prefix}{place}/{plural}" + (f"/{name}" if name else "")


class Api:
    """The API server, as the administrator or as whoever the token belongs to."""

    def __init__(self, server: str, token: str, trust: ssl.SSLContext) -> None:
        """Know where, who, and whom to trust."""
        self.server = server
        self.trust = trust
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._session = aiohttp.ClientSession(headers=self._headers, connector=aiohttp.TCPConnector(ssl=self.trust))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        assert self._session is not None
        await self._session.close()

    async def call(
        self, method: str, path: str, body: object = None, *, form: str = "application/json", **query: str
    ) -> Raw:
        """Send one request. Raises ApiError."""
        assert self._session is not None
        headers = {"Content-Type": form}
        async with self._session.request(
            method, self.server + path, json=body, headers=headers, params=query
        ) as answer:
            if answer.status >= 400:
                found = await answer.text()
                raise ApiError(answer.status, found[:500])
            return dict(await answer.json())

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects on the server's side, in their order."""
        for each in objects:
            kind, metadata = each["kind"], each["metadata"]
            VERSIONS.setdefault(kind, each["apiVersion"])
            path = path_of(kind, metadata.get("namespace", ""), metadata["name"])
            form = "application/apply-patch+yaml"
            await self.call("PATCH", path, dict(each), form=form, fieldManager=FIELD_MANAGER, force="true")

    async def apply_files(self, files: Iterable[Path]) -> None:
        """Apply every document of these files."""
        for file in files:
            await self.apply(*(each for each in yaml.safe_load_all(file.read_text()) if each))

    async def get(self, kind: str, namespace: str, name: str) -> Raw | None:
        """Return an object, None when it is not there."""
        try:
            return await self.call("GET", path_of(kind, namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def list(self, kind: str, namespace: str = "", **query: str) -> list[Raw]:
        """Return all objects of a kind."""
        found = await self.call("GET", path_of(kind, namespace), **query)
        return list(found.get("items") or ())

    async def patch(self, kind: str, namespace: str, name: str, change: Mapping[str, Any]) -> Raw:
        """Merge a change into an object."""
        return await self.call(
            "PATCH", path_of(kind, namespace, name), dict(change), form="application/merge-patch+json"
        )

    async def delete(self, kind: str, namespace: str, name: str, **options: Any) -> None:
        """Delete an object; one that is gone already is fine."""
        try:
            await self.call(
                "DELETE", path_of(kind, namespace, name), {"kind": "DeleteOptions", "apiVersion": "v1", **options}
            )
        except ApiError as error:
            if error.code != 404:
                raise


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """Open a client for whoever a kubeconfig is for, as long as it is needed."""
    found = Configuration()
    await load_kube_config(config_file=str(kubeconfig), client_configuration=found)
    trust = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if found.cert_file:
        trust.load_cert_chain(found.cert_file, found.key_file)
    token = str(found.api_key.get("BearerToken", "")).removeprefix("Bearer ")
    async with Api(str(found.host), token, trust) as api:
        yield api
