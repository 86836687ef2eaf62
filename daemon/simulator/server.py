"""The simulated cluster as a whole: store, API server and, when it runs, the controllers.

Start: `async with cluster.serve() as url`, and supervise `cluster.run()` beside it; without `run` the objects stay as
they are written, which is what tests of a client want. All time comes from the clock that is given.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from daemon.model.ports import Clock
from daemon.simulator.api.faults import Faults
from daemon.simulator.api.resources import Resource, Resources
from daemon.simulator.api.serving import ApiServer
from daemon.simulator.api.store import Change, Store, Write
from daemon.simulator.exec import Exec
from daemon.simulator.flux.client import REQUESTED, Client
from daemon.simulator.flux.controllers import TICK, Controllers
from daemon.simulator.flux.git import Commit, Outside, Repository

Json = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", "flux-system")
"""What every cluster with Flux has."""


class PastClock:
    """The given clock, set back by `behind` seconds: a cluster that has lived for a while before anybody looks."""

    def __init__(self, clock: Clock) -> None:
        self.behind = 0.0
        self._clock = clock

    def now(self) -> datetime:
        """Return the cluster's present moment."""
        return self._clock.now() - timedelta(seconds=self.behind)

    def monotonic(self) -> float:
        """Return the cluster's monotonic seconds."""
        return self._clock.monotonic() - self.behind

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._clock.sleep(seconds)

    async def within(self, seconds: float, work: Awaitable[None]) -> bool:
        """Wait for some work at most so many seconds; say whether it was done."""
        return await self._clock.within(seconds, work)


class SimulatedCluster:
    """A small cluster in memory behind a real HTTP server."""

    def __init__(self, clock: Clock, resources: Resources | None = None) -> None:
        self.clock = PastClock(clock)
        self.resources = resources or Resources()
        self.store = Store(self.clock, self.resources)
        self.faults = Faults(self.store.pulse)
        self.exec = Exec(self.store)
        self.api = ApiServer(self.store, self.faults, self.clock, self.exec.answer)
        self.outside = Outside()
        for name in NAMESPACES:
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="kube-apiserver")
        for resource in self.resources.all():
            if resource.custom:
                self.put(definition(resource), manager="kube-apiserver")
        self.store.listeners.append(self._defined)
        self.controllers = Controllers(self.store, self.outside)
        self.on_push: list[Callable[[str], None]] = []
        """Told the subject of every commit that is pushed."""

    async def run(self) -> None:
        """Run the controllers until cancelled; the caller supervises."""
        await self.controllers.run(self.clock)

    def settle(self, seconds: float) -> None:
        """Let the controllers live `seconds` at once, in the past: afterwards the cluster is that old."""
        self.clock.behind = seconds
        while self.clock.behind > 0:
            self.controllers.queue.step()
            self.clock.behind = max(0.0, self.clock.behind - TICK)

    def hook(self, url: str, key: bytes, cluster: str = "demo") -> None:
        """Post Flux's events from now on to a generic-hmac receiver, signed with `key`."""
        recorder = self.controllers.recorder
        recorder.hook, recorder.key, recorder.cluster = url, key, cluster

    def push(
        self,
        subject: str,
        changes: Mapping[str, Sequence[Json] | None],
        *,
        repository: str = "flux-system/flux-system",
        announce: bool = True,
    ) -> Commit:
        """Push a commit that replaces the named folders; `announce` tells Flux at once, as a Receiver does."""
        commit = self.outside.repositories.setdefault(repository, Repository()).push(subject, changes)
        for told in self.on_push:
            told(subject)
        namespace, _, name = repository.partition("/")
        client = Client(self.store, "notification-controller")
        if announce and client.find("GitRepository", namespace, name):
            token = self.clock.now().isoformat()
            client.change("GitRepository", namespace, name, lambda new: _annotate(new, token))
        return commit

    def _defined(self, resource: Resource, change: Change) -> None:
        if resource.kind != "CustomResourceDefinition" or change.type == "MODIFIED":
            return
        spec = change.new["spec"]
        if change.type == "DELETED":
            self.resources.remove(spec["group"], spec["names"]["plural"])
            return
        names, versions = spec["names"], tuple(one["name"] for one in spec["versions"])
        namespaced = spec["scope"] == "Namespaced"
        new = Resource(spec["group"], names["kind"], names["plural"], versions, namespaced=namespaced, custom=True)
        self.resources.install(new)

    @asynccontextmanager
    async def serve(self, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Answer on loopback while the context is open; give the address. Port 0 takes a free one."""
        self.api.watching.closing = False
        runner = web.AppRunner(self.api.app(), handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    def put(self, manifest: Json, *, manager: str = "platform-team") -> Json:
        """Apply a manifest as `manager` would, status included, and return the object."""
        resource = self.resources.of_manifest(str(manifest["apiVersion"]), str(manifest["kind"]))
        namespace = str(manifest["metadata"].get("namespace", ""))
        item, _ = self.store.apply(resource, namespace, manifest, Write(manager), force=True)
        if "status" in manifest and resource.status:
            name = str(manifest["metadata"]["name"])
            write = Write(manager, subresource="status")
            item = self.store.replace(resource, namespace, name, {"status": manifest["status"]}, write)
        return item

    def get(self, kind: str, namespace: str, name: str, *, group: str | None = None) -> Json | None:
        """Return an object by kind, or None; the group only where two groups share the kind."""
        for resource in self.resources.all():
            if resource.kind == kind and group in (None, resource.group):
                return self.store.find(resource, namespace, name)
        return None

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object as a person with kubectl would. Raises ApiError 404."""
        for resource in self.resources.all():
            if resource.kind == kind:
                self.store.delete(resource, namespace, name)
                return


def kubeconfig(url: str, token: str = "") -> Json:
    """Return a kubeconfig for a served cluster."""
    user: Json = {"token": token} if token else {}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "simulated",
        "clusters": [{"name": "simulated", "cluster": {"server": url}}],
        "users": [{"name": "simulated", "user": user}],
        "contexts": [{"name": "simulated", "context": {"cluster": "simulated", "user": "simulated"}}],
    }


def definition(resource: Resource) -> Json:
    """Return the CustomResourceDefinition of a resource."""
    versions = [{"name": one, "served": True, "storage": one == resource.versions[0]} for one in resource.versions]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.id},
        "spec": {
            "group": resource.group,
            "names": {"kind": resource.kind, "plural": resource.plural},
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": versions,
        },
        "status": {"conditions": [{"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}]},
    }


def _annotate(item: Json, token: str) -> None:
    item["metadata"].setdefault("annotations", {})[REQUESTED] = token
