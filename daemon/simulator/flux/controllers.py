"""All simulated controllers of one cluster: what wakes which, and the loop that runs them on the clock."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from daemon.model.ports import Clock
from daemon.simulator.api.resources import Resource
from daemon.simulator.api.store import Change, Store
from daemon.simulator.flux.client import Client, requested
from daemon.simulator.flux.events import Recorder
from daemon.simulator.flux.git import Outside
from daemon.simulator.flux.helm import HelmCli, HelmController
from daemon.simulator.flux.kustomize import KustomizeController
from daemon.simulator.flux.queue import Queue
from daemon.simulator.flux.source import SourceController
from daemon.simulator.flux.workloads import Workloads

Json = dict[str, Any]

TICK = 0.1
"""Seconds between looks at what is due."""
OWNED = ("DaemonSet", "ReplicaSet", "Deployment")


class Controllers:
    """source-, kustomize-, helm- and notification-controller, and Kubernetes' own for workloads."""

    def __init__(self, store: Store, outside: Outside) -> None:
        self.store = store
        self.outside = outside
        self.queue = Queue(store.clock.monotonic)
        self.recorder = Recorder(Client(store, "notification-controller"))
        self.source = SourceController(Client(store, "source-controller"), self.recorder, outside)
        self.kustomize = KustomizeController(Client(store, "kustomize-controller"), self.recorder, outside)
        self.helm = HelmController(Client(store, "helm-controller"), self.recorder, outside)
        self.workloads = Workloads(Client(store, "kube-controller-manager"), self.recorder)
        self.cli = HelmCli(Client(store, "Helm"), Client(store, "helm"))
        self.on_job: list[Callable[[Json], None]] = []
        starts = {
            "GitRepository": self.source.git,
            "HelmRepository": self.source.helm_repository,
            "HelmChart": self.source.helm_chart,
            "Kustomization": self.kustomize.reconcile,
            "HelmRelease": self.helm.reconcile,
            "DaemonSet": self.workloads.daemon_set,
            "Deployment": self.workloads.deployment,
            "Job": self.workloads.job,
            "Pod": self.workloads.pod,
        }
        for kind, start in starts.items():
            self.queue.register(kind, start)
        self._watched = frozenset(starts)
        store.listeners.append(self._changed)

    async def run(self, clock: Clock) -> None:
        """Run until cancelled."""
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(self._work(clock), self._post(clock, session))

    async def _work(self, clock: Clock) -> None:
        while True:
            self.queue.step()
            self.store.pulse()
            await clock.sleep(TICK)

    async def _post(self, clock: Clock, session: aiohttp.ClientSession) -> None:
        while True:
            await self.recorder.deliver(session)
            await clock.sleep(TICK)

    def _changed(self, resource: Resource, change: Change) -> None:
        kind, new = resource.kind, change.new
        namespace, name = new["metadata"].get("namespace", ""), new["metadata"]["name"]
        if kind in self._watched and _wakes(change):
            self.queue.add(kind, namespace, name)
        match kind:
            case "Pod" | "ReplicaSet":
                for owner in new["metadata"].get("ownerReferences", ()):
                    self._owner(owner, namespace)
            case "Node":
                for item in Client(self.store, "").all("DaemonSet"):
                    self.queue.add("DaemonSet", item["metadata"]["namespace"], item["metadata"]["name"])
            case "GitRepository" if _artifact(new) != _artifact(change.old):
                self._source_changed(namespace, name)
            case "HelmChart" if _artifact(new) != _artifact(change.old) or _observed(new) != _observed(change.old):
                labels = new["metadata"].get("labels", {})
                place = labels.get("helm.toolkit.fluxcd.io/namespace", "")
                self.queue.add("HelmRelease", place, labels.get("helm.toolkit.fluxcd.io/name", ""))
            case "Job" if new.get("status", {}).get("succeeded") and not (change.old or {}).get("status", {}).get(
                "succeeded"
            ):
                for hook in self.on_job:
                    hook(new)

    def _owner(self, owner: Json, namespace: str) -> None:
        if owner["kind"] == "ReplicaSet":
            found = Client(self.store, "").find("ReplicaSet", namespace, owner["name"])
            for above in (found or {}).get("metadata", {}).get("ownerReferences", ()):
                self.queue.add(above["kind"], namespace, above["name"])
        elif owner["kind"] in self._watched:
            self.queue.add(owner["kind"], namespace, owner["name"])

    def _source_changed(self, namespace: str, name: str) -> None:
        for item in Client(self.store, "").all("Kustomization"):
            ref, meta = item["spec"]["sourceRef"], item["metadata"]
            if (ref["kind"], ref.get("namespace", meta["namespace"]), ref["name"]) == (
                "GitRepository",
                namespace,
                name,
            ):
                self.queue.add("Kustomization", meta["namespace"], meta["name"])


def _wakes(change: Change) -> bool:
    # What controller-runtime's predicates let through: creation, a new generation, a deletion, a reconcile request.
    old, new = change.old, change.new
    if change.type == "DELETED":
        return False
    if old is None or requested(old) != requested(new):
        return True
    return bool(old["metadata"].get("generation") != new["metadata"].get("generation"))


def _artifact(item: Json | None) -> str:
    return str((item or {}).get("status", {}).get("artifact", {}).get("revision", ""))


def _observed(item: Json | None) -> object:
    return (item or {}).get("status", {}).get("observedGeneration")
