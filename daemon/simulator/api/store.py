"""The objects of the simulated cluster: one version counter, optimistic locking, finalizers, a window of changes.

Objects handed out are the stored ones and must not be changed; a write replaces an object, never edits it.
Limit: one process, no snapshots; a continued list shows the present state after its last key.
"""

import asyncio
import copy
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.model.ports import Clock
from daemon.simulator.api import ownership
from daemon.simulator.api.errors import (
    ApiError,
    already_exists,
    expired,
    invalid,
    modified,
    not_found,
    precondition,
)
from daemon.simulator.api.resources import FLUX_GROUP_END, Resource, Resources

Json = dict[str, Any]

WINDOW = 2000
"""Changes kept for each resource, so that a watch can resume; an older version is 410."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.:]{0,251}[a-z0-9])?")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch; `old` is what the object was before, for selectors."""

    version: int
    type: str
    new: Json
    old: Json | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Who writes, and whether it is only tried."""

    manager: str = "unknown"
    operation: str = "Update"
    subresource: str = ""
    dry_run: bool = False


class Store:
    """All objects of all resources, and what became of them lately."""

    def __init__(self, clock: Clock, resources: Resources) -> None:
        self.clock = clock
        self.resources = resources
        self.version = 1000
        self.window = WINDOW
        self.listeners: list[Callable[[Resource, Change], None]] = []
        self._objects: dict[str, dict[tuple[str, str], Json]] = {}
        self._changes: dict[str, deque[Change]] = {}
        self._oldest: dict[str, int] = {}
        self._wakes: set[asyncio.Event] = set()
        self._made = 0

    # Reading

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Return one object or None."""
        return self._objects.get(resource.id, {}).get((namespace if resource.namespaced else "", name))

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Return one object. Raises ApiError 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def all(self, resource: Resource, namespace: str = "") -> list[Json]:
        """Return the objects of a resource, sorted by namespace and name."""
        rows = sorted(self._objects.get(resource.id, {}).items())
        return [item for (place, _), item in rows if not namespace or place == namespace]

    def since(self, resource: Resource, version: int) -> list[Change]:
        """Return what changed after `version`. Raises ApiError 410 when that is no longer known."""
        oldest = self._oldest.get(resource.id, 0)
        if version < oldest:
            raise expired(version, oldest)
        return [change for change in self._changes.get(resource.id, ()) if change.version > version]

    def since_version(self, resource: Resource) -> int:
        """Return the oldest version that `since` still takes."""
        return self._oldest.get(resource.id, 0)

    def compact(self, resource: Resource | None = None) -> None:
        """Forget the window of changes: every earlier version is 410 from now on."""
        self.version += 1
        for one in (resource,) if resource else self.resources.all():
            self._changes.pop(one.id, None)
            self._oldest[one.id] = self.version

    @contextmanager
    def woken(self) -> Iterator[asyncio.Event]:
        """Give an event that is set at every change and pulse."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        try:
            yield wake
        finally:
            self._wakes.discard(wake)

    def pulse(self) -> None:
        """Let every open stream look at the clock and the faults."""
        for wake in self._wakes:
            wake.set()

    # Writing

    def create(self, resource: Resource, namespace: str, body: Json, write: Write) -> Json:
        """Store a new object and return it. Raises ApiError 404 (namespace), 409, 422."""
        new = copy.deepcopy(body)
        meta = new.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = f"{meta['generateName']}{self.suffix()}"
        name = str(meta.get("name", ""))
        self._check(resource, namespace, name, new)
        if self.find(resource, namespace, name) is not None:
            raise already_exists(resource, name)
        for key in ("resourceVersion", "managedFields", "deletionTimestamp"):
            meta.pop(key, None)
        if resource.status:
            new.pop("status", None)
            if resource.custom and resource.group.endswith(FLUX_GROUP_END):
                new["status"] = {"observedGeneration": -1}
        now = stamp(self.clock.now())
        meta |= {"uid": self._uid(), "creationTimestamp": now} | ({"generation": 1} if resource.generation else {})
        new |= {"apiVersion": body.get("apiVersion", resource.api_version), "kind": resource.kind}
        if resource.namespaced:
            meta["namespace"] = namespace
        meta["managedFields"] = ownership.record(
            {}, new, manager=write.manager, operation=write.operation, subresource="", at=now
        )
        return new if write.dry_run else self._put(resource, new, None)

    def replace(self, resource: Resource, namespace: str, name: str, body: Json, write: Write) -> Json:
        """Store a changed object and return it; only the part that the subresource names is taken from `body`."""
        live = self.get(resource, namespace, name)
        meta = body.get("metadata", {})
        if meta.get("uid") and meta["uid"] != live["metadata"]["uid"]:
            raise precondition(resource, name, "UID", meta["uid"], live["metadata"]["uid"])
        if meta.get("resourceVersion") and meta["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise modified(resource, name)
        new = self._changed(resource, live, body, write)
        self._check(resource, namespace, name, new)
        if _same(live, new):
            return live
        now = stamp(self.clock.now())
        if resource.generation and _content(live) != _content(new):
            new["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        if write.operation != "Apply":
            new["metadata"]["managedFields"] = ownership.record(
                live, new, manager=write.manager, operation=write.operation, subresource=write.subresource, at=now
            )
        if write.dry_run:
            return new
        if "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers"):
            return self._drop(resource, new)
        return self._put(resource, new, live)

    def apply(self, resource: Resource, namespace: str, body: Json, write: Write, *, force: bool) -> tuple[Json, bool]:
        """Server-side apply: return the object and whether it was created. Raises ApiError 409 with the causes."""
        name = str(body.get("metadata", {}).get("name", ""))
        live = self.find(resource, namespace, name)
        if live is None:
            made = self.create(resource, namespace, body, Write(write.manager, "Apply", dry_run=write.dry_run))
            return made, True
        target = copy.deepcopy(live)
        now = stamp(self.clock.now())
        new, conflicts = ownership.applied(target, body, manager=write.manager, at=now, force=force)
        if conflicts:
            causes = [{"reason": "FieldManagerConflict", "field": "." + ".".join(path)} for path in conflicts]
            message = f"Apply failed with {len(causes)} conflicts: {', '.join(cause['field'] for cause in causes)}"
            raise ApiError(409, message, details={"causes": causes})
        for key in ("uid", "resourceVersion"):
            if body["metadata"].get(key):
                new["metadata"][key] = body["metadata"][key]
        return self.replace(resource, namespace, name, new, Write(write.manager, "Apply", dry_run=write.dry_run)), False

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        dry_run: bool = False,
        orphan: bool = False,
    ) -> tuple[Json, bool]:
        """Delete an object, or mark it while finalizers hold it; return it and whether it is gone."""
        live = self.get(resource, namespace, name)
        meta = live["metadata"]
        if uid and uid != meta["uid"]:
            raise precondition(resource, name, "UID", uid, meta["uid"])
        if version and version != meta["resourceVersion"]:
            raise precondition(resource, name, "ResourceVersion", version, meta["resourceVersion"])
        gone = not meta.get("finalizers")
        if dry_run or (not gone and "deletionTimestamp" in meta):
            return live, gone
        new = copy.deepcopy(live)
        if gone:
            return self._drop(resource, new, orphan=orphan), True
        new["metadata"] |= {"deletionTimestamp": stamp(self.clock.now()), "deletionGracePeriodSeconds": 0}
        if resource.generation:
            new["metadata"]["generation"] += 1
        return self._put(resource, new, live), False

    def suffix(self) -> str:
        """Return five letters as generateName makes them, another at each call, the same in every run."""
        self._made += 1
        number = uuid.uuid5(uuid.NAMESPACE_OID, f"suffix {self._made}").int
        return "".join(_SUFFIX[(number >> (8 * index)) % len(_SUFFIX)] for index in range(5))

    # Inside

    def _changed(self, resource: Resource, live: Json, body: Json, write: Write) -> Json:
        new = copy.deepcopy(live)
        if write.subresource == "status":
            new["status"] = copy.deepcopy(body.get("status", {}))
            return new
        new = copy.deepcopy(body)
        if resource.status:
            new.pop("status", None)
            if "status" in live:
                new["status"] = copy.deepcopy(live["status"])
        meta, was = new.setdefault("metadata", {}), live["metadata"]
        for key in ("uid", "name", "namespace", "resourceVersion", "creationTimestamp", "generation"):
            if key in was:
                meta[key] = was[key]
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            meta.pop(key, None)
            if key in was:
                meta[key] = was[key]
        if write.operation != "Apply":
            meta["managedFields"] = copy.deepcopy(was.get("managedFields", []))
        added = set(meta.get("finalizers", ())) - set(was.get("finalizers", ()))
        if "deletionTimestamp" in was and added:
            why = "Forbidden: no new finalizers can be added if the object is being deleted"
            raise invalid(resource, was["name"], "metadata.finalizers", why)
        new |= {"kind": live["kind"], "apiVersion": live["apiVersion"]}
        return new

    def _check(self, resource: Resource, namespace: str, name: str, body: Json) -> None:
        meta = body.get("metadata", {})
        if not _NAME.fullmatch(name):
            raise invalid(resource, name, "metadata.name", f'Invalid value: "{name}": a lowercase RFC 1123 subdomain')
        if meta.get("name", name) != name:
            raise ApiError(400, f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
        if body.get("kind", resource.kind) != resource.kind:
            raise ApiError(400, f"the kind in the data ({body['kind']}) does not match the expected kind")
        for field in ("labels", "annotations"):
            if not all(isinstance(value, str) for value in (meta.get(field) or {}).values()):
                raise ApiError(400, f"unable to decode: metadata.{field} must be strings")
        if not isinstance(body.get("spec", {}), dict):
            raise invalid(resource, name, "spec", "Invalid value: must be of type object")
        place = self.resources.at("", "v1", "namespaces")
        if resource.namespaced and place and self.find(place, "", namespace) is None:
            raise not_found(place, namespace)

    def _put(self, resource: Resource, new: Json, old: Json | None) -> Json:
        self.version += 1
        meta = new["metadata"]
        meta["resourceVersion"] = str(self.version)
        self._objects.setdefault(resource.id, {})[meta.get("namespace", ""), meta["name"]] = new
        self._log(resource, Change(self.version, "MODIFIED" if old else "ADDED", new, old))
        return new

    def _drop(self, resource: Resource, last: Json, *, orphan: bool = False) -> Json:
        self.version += 1
        meta = last["metadata"]
        meta["resourceVersion"] = str(self.version)
        self._objects[resource.id].pop((meta.get("namespace", ""), meta["name"]), None)
        self._log(resource, Change(self.version, "DELETED", last, last))
        if not orphan:
            self._collect(meta["uid"])
        return last

    def _collect(self, owner: str) -> None:
        # Garbage collection in the background: what the gone object owned goes too.
        for resource in self.resources.all():
            for item in self.all(resource):
                if any(one["uid"] == owner for one in item["metadata"].get("ownerReferences", ())):
                    self.delete(resource, item["metadata"].get("namespace", ""), item["metadata"]["name"])

    def _log(self, resource: Resource, change: Change) -> None:
        changes = self._changes.setdefault(resource.id, deque())
        changes.append(change)
        while len(changes) > self.window:
            self._oldest[resource.id] = changes.popleft().version
        for listener in self.listeners:
            listener(resource, change)
        self.pulse()

    def _uid(self) -> str:
        self._made += 1
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"object {self._made}"))


def stamp(at: datetime) -> str:
    """Return a time as the API server writes it: UTC, whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _content(item: Json) -> Json:
    return {key: value for key, value in item.items() if key not in ("metadata", "status")}


def _same(old: Json, new: Json) -> bool:
    if _content(old) != _content(new) or old.get("status") != new.get("status"):
        return False
    return bool(old["metadata"] == new["metadata"])
