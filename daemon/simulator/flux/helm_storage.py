"""Helm's release storage in Secrets, and what both its writers do with it: helm-controller and the helm CLI.

The Secret's payload is Helm's own form (base64 of gzip of JSON), so the record itself is the only memory there is.
Limit: the manifest is a JSON list, not YAML; no hooks.
"""

import base64
import copy
import gzip
from dataclasses import dataclass
from typing import Any

import orjson

from daemon.simulator.flux.client import Client
from daemon.simulator.flux.git import Chart, digest

Json = dict[str, Any]

TYPE = "helm.sh/release.v1"


@dataclass(frozen=True, slots=True)
class Release:
    """One revision of a release as it is stored."""

    namespace: str
    name: str
    version: int
    status: str
    chart: str
    chart_version: str
    app_version: str
    config: Json
    manifest: list[Json]
    first: str
    last: str

    @property
    def secret(self) -> str:
        """Return the name of its Secret."""
        return f"sh.helm.release.v1.{self.name}.v{self.version}"

    @property
    def text(self) -> str:
        """Return namespace/name.vN with chart name@version, as Flux's messages do."""
        return f"{self.namespace}/{self.name}.v{self.version} with chart {self.chart}@{self.chart_version}"

    def snapshot(self, action: str) -> Json:
        """Return the entry of a HelmRelease's status.history."""
        return {
            "apiVersion": "v2",
            "action": action,
            "appVersion": self.app_version,
            "chartName": self.chart,
            "chartVersion": self.chart_version,
            "configDigest": digest(self.config),
            "digest": digest([self.name, self.version, self.manifest]),
            "firstDeployed": self.first,
            "lastDeployed": self.last,
            "name": self.name,
            "namespace": self.namespace,
            "status": self.status,
            "version": self.version,
        }


def revisions(client: Client, namespace: str, name: str) -> list[Release]:
    """Return the stored revisions, oldest first."""
    found = []
    for secret in client.all("Secret", namespace):
        labels = secret["metadata"].get("labels", {})
        if secret.get("type") == TYPE and labels.get("name") == name:
            found.append(_read(secret))
    return sorted(found, key=lambda release: release.version)


def _read(secret: Json) -> Release:
    labels = secret["metadata"]["labels"]
    body = orjson.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    meta = body["chart"]["metadata"]
    return Release(
        secret["metadata"]["namespace"],
        labels["name"],
        int(labels["version"]),
        labels["status"],
        meta["name"],
        meta["version"],
        meta["appVersion"],
        body["config"],
        body["manifest"],
        body["info"]["first_deployed"],
        body["info"]["last_deployed"],
    )


def begin(client: Client, namespace: str, name: str, chart: Chart, values: Json) -> Release:
    """Store the next revision as pending under the client's manager (helm-controller, or Helm for the CLI)."""
    old = revisions(client, namespace, name)
    now = client.stamp()
    release = Release(
        namespace,
        name,
        old[-1].version + 1 if old else 1,
        "pending-upgrade" if old else "pending-install",
        chart.name,
        chart.version,
        chart.app_version or chart.version,
        values,
        [_owned(manifest, namespace, name) for manifest in chart.render(values)],
        old[0].first if old else now,
        now,
    )
    labels = _labels(release) | {"createdAt": str(int(client.now().timestamp()))}
    client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": release.secret, "namespace": namespace, "labels": labels},
            "type": TYPE,
            "data": {"release": _payload(release)},
        }
    )
    return release


def end(client: Client, release: Release, status: str) -> None:
    """Give a revision its final status; a deployed one supersedes the deployed ones before it."""
    if status == "deployed":
        for older in revisions(client, release.namespace, release.name):
            if older.version < release.version and older.status == "deployed":
                _relabel(client, older, "superseded")
    _relabel(client, release, status)


def purge(client: Client, namespace: str, name: str) -> None:
    """Remove every stored revision."""
    for release in revisions(client, namespace, name):
        client.delete("Secret", namespace, release.secret)


def _relabel(client: Client, release: Release, status: str) -> None:
    labels = _labels(release) | {"status": status, "modifiedAt": str(int(client.now().timestamp()))}
    client.change("Secret", release.namespace, release.secret, lambda secret: secret["metadata"].update(labels=labels))


def _labels(release: Release) -> Json:
    return {"name": release.name, "owner": "helm", "status": release.status, "version": str(release.version)}


def _owned(manifest: Json, namespace: str, name: str) -> Json:
    new = copy.deepcopy(manifest)
    meta = new["metadata"]
    meta["labels"] = meta.get("labels", {}) | {"app.kubernetes.io/managed-by": "Helm"}
    owner = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
    meta["annotations"] = meta.get("annotations", {}) | owner
    return new


def _payload(release: Release) -> str:
    body = {
        "name": release.name,
        "namespace": release.namespace,
        "version": release.version,
        "info": {"first_deployed": release.first, "last_deployed": release.last, "status": release.status},
        "chart": {
            "metadata": {
                "name": release.chart,
                "version": release.chart_version,
                "appVersion": release.app_version,
            }
        },
        "config": release.config,
        "manifest": release.manifest,
    }
    return base64.b64encode(base64.b64encode(gzip.compress(orjson.dumps(body), mtime=0))).decode()
