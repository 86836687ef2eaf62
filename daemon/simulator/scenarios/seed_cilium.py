"""The seed incident: Cilium has two owners, bootstrap and a Flux HelmRelease, and the upgrade breaks the CNI.

T+5 s a commit adds HelmRelease kube-system/cilium over the release that bootstrap installed. Kustomization cilium
is still green (its health check passes before helm-controller moves), the agents crash, the upgrade times out and
stalls. T+28 s somebody takes the HelmRelease out of Git again: that commit makes Kustomization cilium check the
DaemonSet, which fails, and everything that depends on it waits. The HelmRelease itself stays in the cluster, because
a careful person had marked it `prune: disabled`; removing it safely is what is left to do. Once it is gone and the
release lives, the next bootstrap sync mends the DaemonSet; if it was uninstalled instead, nothing does.
"""

import copy
from typing import Any

from daemon.model.ports import Clock
from daemon.simulator.flux import helm_storage
from daemon.simulator.flux.client import Client
from daemon.simulator.flux.git import Chart
from daemon.simulator.flux.workloads import Trouble
from daemon.simulator.scenarios import parts
from daemon.simulator.server import SimulatedCluster

Json = dict[str, Any]

TITLE = "Cilium has two owners; the upgrade breaks the CNI and a dozen Kustomizations wait"
DURATION = 330.0
"""Seconds until the story is over whatever happens."""
AGE = 400.0
"""Seconds that the cluster has lived when the story begins: enough for every level to become ready."""
BY_HAND = 120.0
"""Seconds after the fix was pushed at which a person follows the runbook, if nobody else has."""
SYNC_EVERY = 5.0
"""Seconds between looks of the bootstrap's sync at whether the release is its own again."""

API_SERVER = "10.20.0.100"
APP = "kubernetes/infrastructure/networking/cilium/app"
INFRASTRUCTURE = "kubernetes/clusters/infra/infrastructure"
REACHES = {"k8sServiceHost": API_SERVER, "operator": {"replicas": 2}}
"""The values bootstrap uses: the agents reach the API server by its address."""
LOST = {"k8sServiceHost": "kubernetes.default.svc", "operator": {"replicas": 2}}
"""The values Flux uses: a name that resolves only once the CNI runs."""

DEPENDENTS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("cilium-bgp-policy", "kube-system", ("cilium",), ""),
    ("cilium-clustermesh-secret", "kube-system", ("cilium",), ""),
    ("cilium-gatewayclass", "kube-system", ("cilium",), ""),
    ("cert-manager", "cert-manager", ("cilium",), "quay.io/jetstack/cert-manager-controller:v1.18.2"),
    ("openebs", "openebs-system", ("cilium",), "docker.io/openebs/provisioner-localpv:4.3.0"),
    ("rook-ceph-operator", "rook-ceph", ("cilium",), "docker.io/rook/ceph:v1.17.6"),
    (
        "node-feature-discovery",
        "node-feature-discovery",
        ("cilium",),
        "registry.k8s.io/nfd/node-feature-discovery:v0.17.3",
    ),
    ("external-secrets", "external-secrets", ("cert-manager",), "ghcr.io/external-secrets/external-secrets:v0.19.2"),
    (
        "envoy-gateway",
        "envoy-gateway-system",
        ("cert-manager", "cilium-gatewayclass"),
        "docker.io/envoyproxy/gateway:v1.5.0",
    ),
    ("rook-ceph-cluster", "rook-ceph", ("rook-ceph-operator",), "quay.io/ceph/ceph:v19.2.3"),
    ("victoria-logs", "observability", ("openebs",), "docker.io/victoriametrics/victoria-logs:v1.27.0"),
    ("kube-prometheus-stack", "observability", ("openebs",), "quay.io/prometheus/prometheus:v3.5.0"),
)
"""Name, namespace, dependsOn and image (none: configuration only) of what waits on cilium, two levels deep."""


def chart() -> Chart:
    """Return the chart that both owners install."""
    return Chart("cilium", "1.18.2", _render, "1.18.2")


def _render(values: Json) -> list[Json]:
    labels = {"k8s-app": "cilium", "app.kubernetes.io/name": "cilium", "app.kubernetes.io/part-of": "cilium"}
    agent = {
        "name": "cilium-agent",
        "image": "quay.io/cilium/cilium:v1.18.2",
        "env": [{"name": "KUBERNETES_SERVICE_HOST", "value": values["k8sServiceHost"]}],
    }
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "cilium", "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "cilium"}},
            "template": {"metadata": {"labels": labels}, "spec": {"hostNetwork": True, "containers": [agent]}},
        },
    }
    operator = parts.deployment(
        "kube-system",
        "cilium-operator",
        "quay.io/cilium/operator-generic:v1.18.2",
        replicas=values["operator"]["replicas"],
    )
    config = parts.config_map("kube-system", "cilium-config", **{"k8s-service-host": values["k8sServiceHost"]})
    return [config, daemon_set, operator]


def helm_release() -> Json:
    """Return the HelmRelease that should never have been."""
    source = {"kind": "HelmRepository", "name": "cilium", "namespace": "flux-system"}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {
            "name": "cilium",
            "namespace": "kube-system",
            "annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
        },
        "spec": {
            "interval": "30m",
            "timeout": "45s",
            "chart": {"spec": {"chart": "cilium", "version": "1.18.2", "sourceRef": source}},
            "values": LOST,
        },
    }


def day_two() -> list[Json]:
    """Return what Flux rightly manages of Cilium."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "cilium-agent", "namespace": "kube-system"},
        "spec": {"groups": [{"name": "cilium-agent", "rules": []}]},
    }
    pools = [
        {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumLoadBalancerIPPool",
            "metadata": {"name": f"{cluster}-pool"},
            "spec": {"blocks": [{"cidr": cidr}]},
        }
        for cluster, cidr in (("infra", "10.25.11.0/24"), ("apps", "10.25.13.0/24"))
    ]
    return [rule, *pools]


def _infrastructure() -> list[Json]:
    checks = [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "cilium", "namespace": "kube-system"},
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cilium-operator", "namespace": "kube-system"},
    ]
    rows = [parts.kustomization("cilium", APP, healthChecks=checks)]
    rows += [parts.kustomization(name, _path(name), *needs, wait=True) for name, _, needs, _ in DEPENDENTS]
    rows.append(parts.kustomization("snapshot-controller", _path("snapshot-controller"), wait=True))
    return rows


def _path(name: str) -> str:
    return f"kubernetes/infrastructure/{name}"


def _tree() -> dict[str, list[Json]]:
    root = [
        parts.kustomization("cluster-infra-settings", "kubernetes/clusters/infra/settings", wait=True),
        parts.kustomization("flux-repositories", "kubernetes/bases/repositories", wait=True),
        parts.kustomization(
            "cluster-infra-infrastructure", INFRASTRUCTURE, "cluster-infra-settings", "flux-repositories"
        ),
    ]
    tree: dict[str, list[Json]] = {
        "kubernetes/clusters/infra": root,
        "kubernetes/clusters/infra/settings": [parts.config_map("flux-system", "cluster-settings", CLUSTER="infra")],
        "kubernetes/bases/repositories": [parts.helm_repository("cilium", "https://helm.cilium.io")],
        INFRASTRUCTURE: _infrastructure(),
        APP: day_two(),
        _path("snapshot-controller"): [
            parts.namespace("snapshot-system"),
            parts.deployment(
                "snapshot-system", "snapshot-controller", "registry.k8s.io/sig-storage/snapshot-controller:v8.3.0"
            ),
        ],
    }
    for name, place, _, image in DEPENDENTS:
        rows = [parts.config_map(place, f"{name}-config")]
        if place != "kube-system":
            rows.insert(0, parts.namespace(place))
        if image:
            rows.append(parts.deployment(place, name, image))
        if name == "cilium-bgp-policy":
            meta = {"name": "infra-peers"}
            rows.append({"apiVersion": "cilium.io/v2", "kind": "CiliumBGPPeerConfig", "metadata": meta, "spec": {}})
        tree[_path(name)] = rows
    return tree


def prepare(cluster: SimulatedCluster) -> None:
    """Build the healthy cluster: bootstrap's Cilium, Flux, and everything that stands on both."""
    cluster.clock.behind = AGE
    parts.add_nodes(cluster, "infra")
    parts.add_notifications(cluster)
    cluster.outside.add_chart(chart())
    lost = "unable to connect to the API server: lookup kubernetes.default.svc: no such host"
    cluster.controllers.workloads.troubles.append(Trouble(_is_lost, "CrashLoopBackOff", lost))
    cluster.controllers.cli.upgrade("kube-system", "cilium", chart(), REACHES)
    cluster.push("feat: infra cluster", _tree())
    cluster.put(parts.git_repository("ssh://git@git.example.com/platform/home-ops"))
    cluster.put(parts.kustomization("flux-system", "kubernetes/clusters/infra"))
    cluster.exec.commands.append(_agent)
    cluster.controllers.on_job.append(lambda job: _run_bootstrap(cluster, job))
    cluster.settle(AGE)


def _is_lost(spec: Json) -> bool:
    return any(
        one["value"] == LOST["k8sServiceHost"]
        for container in spec["containers"]
        for one in container.get("env", ())
        if one["name"] == "KUBERNETES_SERVICE_HOST"
    )


def _agent(pod: Json, arguments: list[str]) -> tuple[str, int] | None:
    # What `cilium status` prints in a healthy agent; in a crashing one no command runs at all.
    if arguments[:2] != ["cilium", "status"] or pod["metadata"].get("labels", {}).get("k8s-app") != "cilium":
        return None
    return "KVStore:       Disabled\nKubernetes:    Ok   1.34\nCilium:        OK   1.18.2\nHubble:        Ok\n", 0


def _run_bootstrap(cluster: SimulatedCluster, job: Json) -> None:
    # A Job made from the bootstrap's template does what the person's `helmfile sync` would.
    if "bootstrap" in job["metadata"]["name"] or "cilium" in job["metadata"]["name"]:
        cluster.controllers.cli.upgrade("kube-system", "cilium", chart(), REACHES)


async def play(cluster: SimulatedCluster, clock: Clock) -> None:
    """Let it happen."""
    await clock.sleep(5.0)
    cluster.push("feat(cilium): manage cilium with flux", {APP: [*day_two(), helm_release()]})
    await clock.sleep(23.0)
    cluster.push("fix: separate cilium bootstrap from flux management", {APP: day_two()})
    waited = 0.0
    while cluster.get("HelmRelease", "kube-system", "cilium") is not None:
        await clock.sleep(SYNC_EVERY)
        waited += SYNC_EVERY
        if waited >= BY_HAND:
            _follow_the_runbook(cluster)
    await clock.sleep(SYNC_EVERY)
    if helm_storage.revisions(Client(cluster.store, "Helm"), "kube-system", "cilium"):
        cluster.controllers.cli.upgrade("kube-system", "cilium", chart(), REACHES)


def _follow_the_runbook(cluster: SimulatedCluster) -> None:
    # What the runbook's delete step must be to be safe: suspended first, then deleted.
    person = Client(cluster.store, "kubectl")
    live = person.find("HelmRelease", "kube-system", "cilium")
    if live is None:
        return
    if not live["spec"].get("suspend"):
        person.change("HelmRelease", "kube-system", "cilium", _suspend)
    elif live.get("status", {}).get("observedGeneration") == live["metadata"]["generation"]:
        person.delete("HelmRelease", "kube-system", "cilium")


def _suspend(item: Json) -> None:
    item["spec"] = copy.deepcopy(item["spec"]) | {"suspend": True}
