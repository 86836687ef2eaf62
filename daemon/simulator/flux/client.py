"""A controller's hands: reads and writes on the store under its own field manager, without HTTP."""

import copy
from collections.abc import Callable
from datetime import datetime
from typing import Any

from daemon.simulator.api.resources import Resource
from daemon.simulator.api.store import Store, Write, stamp

Json = dict[str, Any]
Change = Callable[[Json], None]

FINALIZER = "finalizers.fluxcd.io"
REQUESTED = "reconcile.fluxcd.io/requestedAt"


class Client:
    """Verbs by kind; kinds are unique in the simulated cluster."""

    def __init__(self, store: Store, manager: str) -> None:
        self.store = store
        self.manager = manager

    def resource(self, kind: str) -> Resource:
        """Return the resource of a kind. Raises KeyError."""
        return next(one for one in self.store.resources.all() if one.kind == kind)

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        """Return an object or None, also when its kind is not served."""
        for one in self.store.resources.all():
            if one.kind == kind:
                return self.store.find(one, namespace, name)
        return None

    def all(self, kind: str, namespace: str = "") -> list[Json]:
        """Return the objects of a kind."""
        return self.store.all(self.resource(kind), namespace)

    def create(self, manifest: Json) -> Json:
        """Create an object."""
        resource = self.resource(manifest["kind"])
        return self.store.create(resource, manifest["metadata"].get("namespace", ""), manifest, Write(self.manager))

    def apply(self, manifest: Json, *, dry_run: bool = False) -> tuple[Json, str]:
        """Apply an object with force; return it and what came of it: created, configured or unchanged."""
        resource = self.resource(manifest["kind"])
        namespace = manifest["metadata"].get("namespace", "")
        before = self.store.find(resource, namespace, manifest["metadata"]["name"])
        write = Write(self.manager, "Apply", dry_run=dry_run)
        item, made = self.store.apply(resource, namespace, manifest, write, force=True)
        return item, "created" if made else "unchanged" if item is before else "configured"

    def change(self, kind: str, namespace: str, name: str, change: Change) -> Json:
        """Change metadata or spec of an object in place and store it."""
        new = copy.deepcopy(self.store.get(self.resource(kind), namespace, name))
        change(new)
        return self.store.replace(self.resource(kind), namespace, name, new, Write(self.manager))

    def status(self, kind: str, namespace: str, name: str, change: Change) -> Json:
        """Change the status of an object in place and store it."""
        new = copy.deepcopy(self.store.get(self.resource(kind), namespace, name))
        change(new.setdefault("status", {}))
        return self.store.replace(self.resource(kind), namespace, name, new, Write(self.manager, subresource="status"))

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        """Delete an object if it is there; say whether it was."""
        if self.find(kind, namespace, name) is None:
            return False
        self.store.delete(self.resource(kind), namespace, name)
        return True

    def hold(self, kind: str, namespace: str, name: str) -> Json:
        """Put Flux's finalizer on an object and return it."""
        item = self.store.get(self.resource(kind), namespace, name)
        if FINALIZER in item["metadata"].get("finalizers", ()):
            return item
        return self.change(kind, namespace, name, lambda new: new["metadata"].update(finalizers=[FINALIZER]))

    def release(self, kind: str, namespace: str, name: str) -> None:
        """Take Flux's finalizer off, which lets a deleted object go."""
        self.change(kind, namespace, name, lambda new: new["metadata"].pop("finalizers", None))

    def now(self) -> datetime:
        """Return the cluster's time."""
        return self.store.clock.now()

    def stamp(self) -> str:
        """Return the cluster's time as conditions carry it."""
        return stamp(self.now())

    def seconds(self) -> float:
        """Return the cluster's monotonic seconds."""
        return self.store.clock.monotonic()


def requested(item: Json) -> str:
    """Return the token of the last reconcile request."""
    return str(item["metadata"].get("annotations", {}).get(REQUESTED, ""))


def handled(item: Json, status: Json) -> None:
    """Note in a status that the request seen in `item` was handled."""
    if token := requested(item):
        status["lastHandledReconcileAt"] = token
