"""The simulated cluster as a whole: store, API server and, when it runs, the controllers.

Start: `async with cluster.serve() as url`, and supervise `cluster.run()` beside it; without `run` the objects stay as
they are written, which is what tests of a client want. All time comes from the clock that is given.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from daemon.model.ports import Clock
from daemon.simulator.api.faults import Faults
from daemon.simulator.api.resources import Resources
from daemon.simulator.api.serving import ApiServer
from daemon.simulator.api.store import Store, Write

Json = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", "flux-system")
"""What every cluster with Flux has."""


class SimulatedCluster:
    """A small cluster in memory behind a real HTTP server."""

    def __init__(self, clock: Clock, resources: Resources | None = None) -> None:
        self.clock = clock
        self.resources = resources or Resources()
        self.store = Store(clock, self.resources)
        self.faults = Faults(self.store.pulse)
        self.api = ApiServer(self.store, self.faults, clock)
        for name in NAMESPACES:
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="kube-apiserver")

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
