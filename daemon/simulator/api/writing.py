"""POST, PUT, PATCH and DELETE as changes of the store, without HTTP.

Limit: no schema of any kind's fields but metadata and the type of spec; unknown fields are kept.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from daemon.simulator.api.errors import ApiError, invalid
from daemon.simulator.api.patch import PatchError, merged, patched
from daemon.simulator.api.paths import Target
from daemon.simulator.api.selectors import selector
from daemon.simulator.api.store import Store, Write

Json = dict[str, Any]
Admit = Callable[[str, Json], None]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


def write_of(target: Target, query: Mapping[str, str], agent: str) -> Write:
    """Return who writes: the fieldManager, or as in life the first word of the user agent."""
    manager = query.get("fieldManager") or agent.partition("/")[0] or "unknown"
    return Write(manager, subresource=target.subresource, dry_run=query.get("dryRun") == "All")


def create(store: Store, target: Target, body: Json, write: Write, admit: Admit) -> Json:
    """Carry out a POST."""
    meta = body.get("metadata", {})
    if meta.get("namespace", target.namespace) != target.namespace:
        raise ApiError(400, "the namespace of the provided object does not match the namespace sent on the request")
    admit("CREATE", body)
    return store.create(target.resource, target.namespace, body, write)


def update(store: Store, target: Target, body: Json, write: Write, admit: Admit) -> Json:
    """Carry out a PUT."""
    version = body.get("metadata", {}).get("resourceVersion")
    if target.resource.custom and not version:
        raise invalid(target.resource, target.name, "metadata.resourceVersion", "must be specified for an update")
    admit("UPDATE", body)
    return store.replace(target.resource, target.namespace, target.name, body, write)


def patch(
    store: Store, target: Target, body: Any, write: Write, admit: Admit, *, kind: str, force: bool
) -> tuple[Json, bool]:
    """Carry out a PATCH of the given content type; return the object and whether it was created."""
    where = (target.resource, target.namespace)
    if kind == APPLY:
        if not isinstance(body, dict) or not body.get("apiVersion") or not body.get("kind"):
            raise ApiError(400, "an apply patch needs apiVersion and kind")
        body["metadata"] = body.get("metadata", {}) | {"name": target.name}
        admit("UPDATE", body)
        return store.apply(*where, body, write, force=force)
    if kind == STRATEGIC and target.resource.custom:
        raise ApiError(415, "the body of the request was in an unknown format - accepted media types include: " + MERGE)
    live = store.get(*where, target.name)
    new = _patched(live, body, kind)
    expects = new.get("metadata", {})
    # A patch that does not name the version is made on the present one; one that does is checked by the store.
    admit("UPDATE", new)
    if not isinstance(expects, dict):
        raise invalid(target.resource, target.name, "metadata", "Invalid value: must be of type object")
    return store.replace(*where, target.name, new, write), False


def _patched(live: Json, body: Any, kind: str) -> Json:
    base = copy.deepcopy(live)
    if kind in (MERGE, STRATEGIC):
        if not isinstance(body, dict):
            raise ApiError(400, "a merge patch must be an object")
        result: Json = merged(base, body)
        return result
    if kind == JSON_PATCH:
        if not isinstance(body, list):
            raise ApiError(400, "cannot unmarshal object into Go value of type jsonpatch.Patch")
        try:
            return patched(base, body)
        except PatchError as error:
            raise ApiError(422, f"the server rejected our request due to an error in our request: {error}") from error
    raise ApiError(415, "the body of the request was in an unknown format")


def delete(store: Store, target: Target, body: Json, query: Mapping[str, str], admit: Admit) -> Json:
    """Carry out a DELETE of one object; return it, or a Status when it is gone at once."""
    wants = body.get("preconditions") or {}
    admit("DELETE", store.get(target.resource, target.namespace, target.name))
    item, gone = store.delete(
        target.resource,
        target.namespace,
        target.name,
        uid=str(wants.get("uid") or ""),
        version=str(wants.get("resourceVersion") or ""),
        dry_run="All" in (body.get("dryRun") or [query.get("dryRun", "")]),
        orphan=(body.get("propagationPolicy") or query.get("propagationPolicy")) == "Orphan",
    )
    if not gone:
        return item
    details = {"name": target.name, "group": target.resource.group, "kind": target.resource.plural}
    details["uid"] = item["metadata"]["uid"]
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def delete_all(store: Store, target: Target, query: Mapping[str, str]) -> Json:
    """Carry out a DELETE of a collection."""
    wanted = selector(target.resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    for item in store.all(target.resource, target.namespace):
        if wanted(item):
            store.delete(target.resource, item["metadata"].get("namespace", ""), item["metadata"]["name"])
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
