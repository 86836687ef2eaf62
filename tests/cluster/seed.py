"""The seed incident on a real cluster: bootstrap installed Cilium with Helm, then a commit gives it to Flux as well.

The chart is a small one of the same shape: a DaemonSet that loses every pod at once when its pods are bad, and an
operator. The helm CLI plays the bootstrap; the twelve Kustomizations behind it stand in Git with what they depend on.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from tests.cluster import manifests
from tests.cluster.api import Raw
from tests.cluster.eventually import eventually
from tests.cluster.story import Story, condition

FLUX = "flux-system"
PLACE = "kube-system"
REPOSITORY = "fleet"
VERSION = "1.18.2"
WAITING: Mapping[str, tuple[str, ...]] = {
    "cilium-bgp-policy": ("cilium",),
    "cilium-clustermesh-secret": ("cilium",),
    "cilium-gatewayclass": ("cilium",),
    "cert-manager": ("cilium",),
    "openebs": ("cilium",),
    "rook-ceph-operator": ("cilium",),
    "node-feature-discovery": ("cilium",),
    "external-secrets": ("cert-manager",),
    "envoy-gateway": ("cert-manager", "cilium-gatewayclass"),
    "rook-ceph-cluster": ("rook-ceph-operator",),
    "victoria-logs": ("openebs",),
    "kube-prometheus-stack": ("openebs",),
}
"""What stands on Cilium, and on what exactly."""
DAEMON_SET = """
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: cilium
  namespace: {{ .Release.Namespace }}
  labels: {k8s-app: cilium, app.kubernetes.io/name: cilium}
spec:
  selector: {matchLabels: {k8s-app: cilium}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: "100%"}}
  template:
    metadata:
      labels: {k8s-app: cilium}
      {{- with .Values.podAnnotations }}
      annotations: {{ toJson . }}
      {{- end }}
    spec:
      hostNetwork: true
      containers: [{name: cilium-agent, image: "quay.io/cilium/cilium:v1.18.2"}]
"""
OPERATOR = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cilium-operator
  namespace: {{ .Release.Namespace }}
  labels: {app.kubernetes.io/name: cilium-operator}
spec:
  replicas: 2
  selector: {matchLabels: {name: cilium-operator}}
  template:
    metadata: {labels: {name: cilium-operator}}
    spec: {containers: [{name: operator, image: "quay.io/cilium/operator:v1.18.2"}]}
"""
WELL = {"podAnnotations": {manifests.POD: "well"}}
"""Bootstrap's values: it sets the field itself, so its next run takes it back from Flux."""
SILENT: Raw = {"podAnnotations": {}}
"""Bootstrap's values without the field: what Flux sets there survives, because another manager owns it."""
BAD = {"podAnnotations": {manifests.POD: "notready"}}
"""Flux's values: agents that never become ready."""


class Seed:
    """The cluster of the seed incident, and what people do to it."""

    def __init__(self, story: Story, values: Raw = WELL, *, prune_disabled: bool = True) -> None:
        """Take bootstrap's values, and whether a careful person keeps Flux from pruning the HelmRelease."""
        self.story = story
        self.values = values
        self.prune_disabled = prune_disabled
        self.unrelated = 0

    async def healthy(self) -> None:
        """Install Cilium as bootstrap does, then Flux's side, and wait until all of it is Ready."""
        story = self.story
        templates = {"daemonset.yaml": DAEMON_SET, "operator.yaml": OPERATOR}
        story.repositories.chart("cilium", VERSION, templates)
        await self.bootstrap()
        await story.apply(
            manifests.git_repository(FLUX, REPOSITORY, story.repositories.url(REPOSITORY)),
            manifests.helm_repository(FLUX, "cilium", story.repositories.charts_url),
        )
        self.push("feat: the fleet", with_release=False)
        await story.apply(manifests.kustomization(FLUX, "cluster", REPOSITORY, "./cluster", wait=False))
        await self.all_ready()

    async def bootstrap(self) -> None:
        """Install or upgrade the Helm release by the helm CLI, as helmfile would, and wait for it."""
        story = self.story
        command = [
            str(story.plane.toolbox.programs["helm"]),
            "upgrade",
            "--install",
            "cilium",
            "cilium",
            f"--repo={story.repositories.charts_url}",
            f"--version={VERSION}",
            f"--namespace={PLACE}",
            "--values=-",
            "--force-conflicts",
        ]
        home = str(story.folder / "helm")
        environment = {**os.environ, "KUBECONFIG": str(story.plane.kubeconfig), "HELM_CACHE_HOME": home}
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            input=json.dumps(self.values),
            env={**environment, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def push(self, message: str, *, with_release: bool, suspended: bool = False, checks: bool = True) -> str:
        """Commit the whole fleet, with or without the HelmRelease of Cilium and the checks of its workloads."""
        rows = [self._kustomization("cilium", (), checks=checks)]
        rows += [self._kustomization(name, needed) for name, needed in WAITING.items()]
        files: dict[str, object] = {"cluster/all.yaml": rows}
        files["cilium/config.yaml"] = manifests.config_map(PLACE, "cilium-day-two", pool="10.25.11.0/24")
        if with_release:
            files["cilium/release.yaml"] = self._release(suspended=suspended)
        for name in WAITING:
            rows = [manifests.namespace(f"s-{name}"), manifests.deployment(f"s-{name}", name)]
            files[f"{name}/all.yaml"] = rows
        self.unrelated += 1
        files["notes.txt"] = f"{self.unrelated}"
        return self.story.repositories.push(REPOSITORY, files, message)

    async def all_ready(self) -> None:
        """Wait until every Kustomization is Ready at the newest revision."""

        async def look() -> list[str]:
            found = await self.story.api.list("Kustomization", FLUX)
            late = [each["metadata"]["name"] for each in found if condition(each).get("status") != "True"]
            return late if len(found) == len(WAITING) + 2 else [*late, f"only {len(found)} exist"]

        await eventually("every Kustomization to be Ready", look, lambda late: not late, within=240)

    async def breaks(self) -> None:
        """Give Cilium to Flux as well: wait until the upgrade failed and the DaemonSet has no pod ready."""
        story = self.story
        self.push("feat(cilium): manage cilium with flux", with_release=True)
        await story.ask("GitRepository", REPOSITORY, FLUX)
        await story.ready("HelmRelease", "cilium", PLACE, status="False", reason="UpgradeFailed", within=120)
        assert (await self.daemon_set())["status"].get("numberReady", 0) == 0

    async def spreads(self, *, with_release: bool) -> None:
        """Push an unrelated change, or the removal from Git: Cilium's check fails and everything behind it waits."""
        story = self.story
        message = "feat(grafana): node dashboards" if with_release else "fix: separate cilium bootstrap from flux"
        self.push(message, with_release=with_release)
        await story.ask("GitRepository", REPOSITORY, FLUX)

        async def look() -> list[str]:
            found = await story.api.list("Kustomization", FLUX)
            return sorted(each["metadata"]["name"] for each in found if condition(each).get("status") == "False")

        await eventually("every dependent to wait", look, lambda late: set(late) >= {"cilium", *WAITING}, within=180)

    async def daemon_set(self) -> Raw:
        """Return DaemonSet cilium."""
        found = await self.story.api.get("DaemonSet", PLACE, "cilium")
        assert found is not None, "DaemonSet kube-system/cilium is gone"
        return found

    async def storage(self) -> dict[str, str]:
        """Return Helm's storage of the release: name to uid."""
        found = await self.story.api.list("Secret", PLACE, labelSelector="owner=helm,name=cilium")
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}

    async def release(self) -> Raw | None:
        """Return HelmRelease cilium, None when it is gone."""
        return await self.story.api.get("HelmRelease", PLACE, "cilium")

    async def gone(self, within: float = 120) -> None:
        """Wait until the HelmRelease is gone."""
        await eventually("the HelmRelease to be gone", self.release, lambda found: found is None, within=within)

    def _kustomization(self, name: str, needed: tuple[str, ...], *, checks: bool = True) -> Raw:
        more: dict[str, Any] = {}
        if name == "cilium":
            workloads = [
                {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "cilium", "namespace": PLACE},
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cilium-operator", "namespace": PLACE},
            ]
            more = {"wait": False, "healthChecks": workloads if checks else []}
        return manifests.kustomization(FLUX, name, REPOSITORY, f"./{name}", needed, **more)

    def _release(self, *, suspended: bool) -> Raw:
        annotations = {"kustomize.toolkit.fluxcd.io/prune": "disabled"} if self.prune_disabled else {}
        found = manifests.helm_release(PLACE, "cilium", "cilium", VERSION, "cilium", values=BAD)
        found["spec"]["chart"]["spec"]["sourceRef"]["namespace"] = FLUX
        if suspended:
            found["spec"]["suspend"] = True
        found["metadata"]["annotations"] = annotations
        return found
