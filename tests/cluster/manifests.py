"""The objects that stories are made of, as plain values. Their times are short, as in no real cluster."""

from collections.abc import Sequence
from typing import Any

from tests.cluster.api import VERSIONS, Raw

POD = "tests.fluxmedic.dev/pod"
"""The annotation by which a pod chooses what happens to it: see stages.yaml."""
IMAGE = "registry.example.test/app:1"


def made(kind: str, namespace: str, name: str, spec: Raw | None = None, **metadata: Any) -> Raw:
    """Return an object."""
    place = {"namespace": namespace} if namespace else {}
    found: Raw = {"apiVersion": VERSIONS.get(kind, "v1"), "kind": kind, "metadata": {"name": name, **place, **metadata}}
    if spec is not None:
        found["spec"] = spec
    return found


def namespace(name: str) -> Raw:
    """Return a namespace."""
    return made("Namespace", "", name)


def config_map(namespace: str, name: str, **data: str) -> Raw:
    """Return a ConfigMap."""
    return {**made("ConfigMap", namespace, name), "data": data}


def git_repository(namespace: str, name: str, url: str, **spec: Any) -> Raw:
    """Return a GitRepository that looks every ten seconds."""
    given = {"url": url, "interval": "10s", "timeout": "20s", "ref": {"branch": "main"}}
    return made("GitRepository", namespace, name, {**given, **spec})


def kustomization(
    namespace: str, name: str, source: str, path: str, depends_on: Sequence[str] = (), **spec: Any
) -> Raw:
    """Return a Kustomization that waits for what it applies, 20 s at most."""
    given: Raw = {
        "sourceRef": {"kind": "GitRepository", "name": source},
        "path": path,
        "interval": "5m",
        "retryInterval": "10s",
        "timeout": "20s",
        "prune": True,
        "wait": True,
    }
    if depends_on:
        given["dependsOn"] = [{"name": each} for each in depends_on]
    return made("Kustomization", namespace, name, {**given, **spec})


def helm_repository(namespace: str, name: str, url: str) -> Raw:
    """Return a HelmRepository."""
    return made("HelmRepository", namespace, name, {"url": url, "interval": "1m", "timeout": "10s"})


def helm_release(namespace: str, name: str, chart: str, version: str, repository: str, **spec: Any) -> Raw:
    """Return a HelmRelease that gives an action 15 s and does not retry."""
    reference = {"kind": "HelmRepository", "name": repository}
    given = {
        "chart": {"spec": {"chart": chart, "version": version, "sourceRef": reference, "interval": "1m"}},
        "interval": "5m",
        "timeout": "15s",
        "releaseName": name,
    }
    return made("HelmRelease", namespace, name, {**given, **spec})


def deployment(namespace: str, name: str, pod: str = "", image: str = IMAGE, replicas: int = 1) -> Raw:
    """Return a Deployment; `pod` says what happens to its pods."""
    return made("Deployment", namespace, name, {**_workload(name, pod, image), "replicas": replicas})


def provider(namespace: str, name: str, address: str, secret: str) -> Raw:
    """Return a Provider that posts signed bodies."""
    return made(
        "Provider", namespace, name, {"type": "generic-hmac", "address": address, "secretRef": {"name": secret}}
    )


def alert(namespace: str, name: str, provider: str, *kinds: str) -> Raw:
    """Return an Alert for everything of these kinds in its namespace."""
    sources = [{"kind": kind, "name": "*"} for kind in kinds]
    return made("Alert", namespace, name, {"providerRef": {"name": provider}, "eventSources": sources})


def _workload(name: str, pod: str, image: str) -> Raw:
    labels = {"app": name}
    metadata: Raw = {"labels": labels}
    if pod:
        metadata["annotations"] = {POD: pod}
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": image}]}},
    }
