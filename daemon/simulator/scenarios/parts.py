"""Manifests that scenarios are made of, each function one kind."""

from typing import Any

from daemon.simulator.server import SimulatedCluster

Json = dict[str, Any]

SOURCE = {"kind": "GitRepository", "name": "flux-system"}
NODES = 3


def namespace(name: str) -> Json:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(place: str, name: str, **data: str) -> Json:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": place},
        "data": data or {"generated": "true"},
    }


def deployment(place: str, name: str, image: str, *, replicas: int = 1) -> Json:
    """Return a Deployment of one container."""
    labels = {"app.kubernetes.io/name": name}
    container = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": place, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def kustomization(name: str, path: str, *needs: str, place: str = "flux-system", **spec: object) -> Json:
    """Return a Kustomization of the one GitRepository; `needs` are dependsOn, more of the spec as keywords."""
    body: Json = {
        "interval": "10m",
        "retryInterval": "15s",
        "timeout": "30s",
        "path": f"./{path}",
        "prune": True,
        "sourceRef": SOURCE | ({} if place == "flux-system" else {"namespace": "flux-system"}),
    }
    if needs:
        body["dependsOn"] = [{"name": one} for one in needs]
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": place},
        "spec": body | spec,
    }


def git_repository(url: str) -> Json:
    """Return the GitRepository that everything comes from."""
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "spec": {"interval": "1m", "timeout": "20s", "url": url, "ref": {"branch": "main"}},
    }


def helm_repository(name: str, url: str) -> Json:
    """Return a HelmRepository in flux-system."""
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "1h", "url": url},
    }


def add_nodes(cluster: SimulatedCluster, prefix: str) -> None:
    """Add three ready nodes."""
    now = cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": now}
    for number in range(1, NODES + 1):
        cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": f"{prefix}-{number:02}"},
                "status": {
                    "conditions": [ready],
                    "addresses": [{"type": "InternalIP", "address": f"10.20.0.{number}"}],
                },
            },
            manager="kubelet",
        )


def add_notifications(cluster: SimulatedCluster) -> None:
    """Add the Provider and the Alert through which Flux tells the daemon, and the Receiver that Git calls."""
    api = "notification.toolkit.fluxcd.io"
    kinds = ("Kustomization", "HelmRelease", "GitRepository", "HelmRepository", "HelmChart")
    sources = [{"kind": kind, "name": "*"} for kind in kinds]
    specs: tuple[tuple[str, str, Json], ...] = (
        ("v1beta3", "Provider", {"type": "generic-hmac", "address": "http://fluxmedic.fluxmedic:8080/hook/flux"}),
        ("v1beta3", "Alert", {"providerRef": {"name": "fluxmedic"}, "eventSeverity": "info", "eventSources": sources}),
        ("v1", "Receiver", {"type": "github", "secretRef": {"name": "receiver"}, "resources": sources[2:3]}),
    )
    for version, kind, spec in specs:
        meta = {"name": "fluxmedic", "namespace": "flux-system"}
        status = {"status": _initialized(cluster)} if kind == "Receiver" else {}
        cluster.put({"apiVersion": f"{api}/{version}", "kind": kind, "metadata": meta, "spec": spec, **status})


def _initialized(cluster: SimulatedCluster) -> Json:
    """Return what notification-controller says of a Receiver that it serves; Alerts and Providers it leaves alone."""
    now = cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"reason": "Succeeded", "message": "Receiver initialized for path: /hook/0000", "observedGeneration": 1}
    return {
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now} | said],
    }
