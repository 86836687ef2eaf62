"""Who owns which field: managedFields and server-side apply, pure.

Limit: a list is one value (real keyed lists merge by element), and ownership is kept by leaf, without v: and k: parts.
"""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]
Path = tuple[str, ...]

UNOWNED = frozenset({"apiVersion", "kind", "status"})
"""Top-level keys that a write to the main resource does not own."""
IDENTITY = frozenset(
    {
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)
"""Keys of metadata that nobody owns."""


def leaves(value: Json, *, status: bool = False) -> dict[Path, object]:
    """Return every leaf of an object with its path; lists and empty objects are leaves. With `status`, only that."""
    found: dict[Path, object] = {}
    if status:
        _walk(value.get("status", {}), ("status",), found)
        return found
    for key, item in value.items():
        if key == "metadata":
            _walk({name: part for name, part in item.items() if name not in IDENTITY}, (key,), found)
        elif key not in UNOWNED:
            _walk(item, (key,), found)
    found.pop(("metadata",), None)
    return found


def _walk(value: object, path: Path, found: dict[Path, object]) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _walk(item, (*path, key), found)
    else:
        found[path] = value


def to_fields(paths: set[Path]) -> Json:
    """Return paths as a fieldsV1 tree."""
    tree: Json = {}
    for path in sorted(paths):
        node = tree
        for part in path:
            node = node.setdefault(f"f:{part}", {})
    return tree


def from_fields(tree: Json, path: Path = ()) -> set[Path]:
    """Return the leaf paths of a fieldsV1 tree."""
    if not tree:
        return {path} if path else set()
    return {leaf for key, item in tree.items() for leaf in from_fields(item, (*path, key.removeprefix("f:")))}


def owned(entry: Json) -> set[Path]:
    """Return what one managedFields entry owns."""
    return from_fields(entry.get("fieldsV1", {}))


def record(old: Json, new: Json, *, manager: str, operation: str, subresource: str, at: str) -> list[Json]:
    """Return the managedFields of `new`: what changed against `old` belongs to this manager and no longer to others."""
    status = subresource == "status"
    before, after = leaves(old, status=status), leaves(new, status=status)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    lost = (before.keys() - after.keys()) | changed
    entries = _without(old.get("metadata", {}).get("managedFields", []), lost)
    return _with(entries, changed, manager=manager, operation=operation, subresource=subresource, at=at)


def applied(live: Json, body: Json, *, manager: str, at: str, force: bool) -> tuple[Json, list[Path]]:
    """Return `live` after a server-side apply of `body`, and the paths in conflict (empty with `force`)."""
    wanted, have = leaves(body), leaves(live)
    entries: list[Json] = live.get("metadata", {}).get("managedFields", [])
    mine = {path for entry in entries if _is(entry, manager, "Apply", "") for path in owned(entry)}
    others = {path for entry in entries if not _is(entry, manager, "Apply", "") for path in owned(entry)}
    differing = {path for path, value in wanted.items() if value != {} and have.get(path) != value}
    conflicts = sorted(differing & others)
    if conflicts and not force:
        return live, conflicts
    for path in mine - wanted.keys() - others:
        _remove(live, path)
    for path, value in wanted.items():
        _set(live, path, value)
    same = mine == set(wanted) and all(have.get(path) == value for path, value in wanted.items())
    when = next((str(one["time"]) for one in entries if same and _is(one, manager, "Apply", "")), at)
    mine_too = [entry for entry in entries if _is(entry, manager, "Apply", "")]
    kept = _without(entries, set(conflicts), but=mine_too)
    live["metadata"]["managedFields"] = _with(
        kept, set(wanted), manager=manager, operation="Apply", subresource="", at=when
    )
    return live, []


def _is(entry: Json, manager: str, operation: str, subresource: str) -> bool:
    have = (entry["manager"], entry["operation"], entry.get("subresource", ""))
    return have == (manager, operation, subresource)


def _without(entries: list[Json], paths: set[Path], but: Sequence[Json] = ()) -> list[Json]:
    kept = []
    for entry in entries:
        left = owned(entry) - (set() if entry in but else paths)
        if left:
            kept.append(entry | {"fieldsV1": to_fields(left)})
    return kept


def _with(
    entries: list[Json], paths: set[Path], *, manager: str, operation: str, subresource: str, at: str
) -> list[Json]:
    if not paths:
        return entries
    entry: Json = {"manager": manager, "operation": operation, "time": at, "fieldsType": "FieldsV1"}
    if subresource:
        entry["subresource"] = subresource
    # In place, or an apply that changes nothing would reorder the entries and make a new resource version.
    for index, one in enumerate(entries):
        if _is(one, manager, operation, subresource):
            entry["fieldsV1"] = to_fields(paths if operation == "Apply" else paths | owned(one))
            return [*entries[:index], entry, *entries[index + 1 :]]
    return [*entries, entry | {"fieldsV1": to_fields(paths)}]


def _set(target: Json, path: Path, value: object) -> None:
    for part in path[:-1]:
        inner = target.get(part)
        if not isinstance(inner, dict):
            inner = target[part] = {}
        target = inner
    # An empty object asks that there be one, not that what stands in it goes.
    if value != {} or not isinstance(target.get(path[-1]), dict):
        target[path[-1]] = value


def _remove(target: Json, path: Path) -> None:
    chain = [target]
    for part in path[:-1]:
        inner = chain[-1].get(part)
        if not isinstance(inner, dict):
            return
        chain.append(inner)
    if isinstance(chain[-1].get(path[-1]), dict) and chain[-1][path[-1]]:
        return
    chain[-1].pop(path[-1], None)
    for outer, part in zip(reversed(chain[:-1]), reversed(path[:-1]), strict=True):
        if not outer[part]:
            del outer[part]
