"""What other rules would have made of the same recording: incidents that appear, disappear or are told differently.

Told differently is also: to somebody else, at another time, ended or acted upon at another time. Incidents are paired
by root and the moment of the first of each root; ids differ with the rule that opened them.
"""

from collections.abc import Mapping, Sequence

from daemon.model.documents import API_VERSION, Document

COMPARED = ("severity", "state", "cause", "rules", "opened_at", "resolved_at", "told", "actions")
TOLD = ("at", "target", "reason")
DONE = ("at", "action", "object", "mode", "verdict")


def difference(before: Document, after: Document) -> Document:
    """Return what differs between two ReplayReports of one recording, from the first to the second."""
    old, new = _by_root(before), _by_root(after)
    changed: list[dict[str, object]] = []
    for key in sorted(old.keys() & new.keys()):
        fields = _changes(old[key], new[key])
        if fields:
            changed.append({"root": old[key]["root"], "changes": fields})
    return {
        "apiVersion": API_VERSION,
        "kind": "ReplayDiff",
        "gone": [_brief(old[key]) for key in sorted(old.keys() - new.keys())],
        "new": [_brief(new[key]) for key in sorted(new.keys() - old.keys())],
        "changed": changed,
        "notifications": [_count(before, "notifications"), _count(after, "notifications")],
        "actions": [_count(before, "actions"), _count(after, "actions")],
    }


def _changes(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, list[object]]:
    found = {field: [old.get(field), new.get(field)] for field in COMPARED if old.get(field) != new.get(field)}
    members = [sorted(_place(each) for each in _items(incident, "members")) for incident in (old, new)]
    if members[0] != members[1]:
        found["members"] = list(members)
    return found


def _by_root(report: Document) -> dict[tuple[str, int], Mapping[str, object]]:
    """Number the incidents of each root, in the order in which they opened."""
    found: dict[tuple[str, int], Mapping[str, object]] = {}
    for incident in _items(report, "incidents"):
        root, number = _place(incident.get("root")), 0
        while (root, number) in found:
            number += 1
        told, done = _about(report, "notifications", incident, TOLD), _about(report, "actions", incident, DONE)
        found[root, number] = {**incident, "told": told, "actions": done}
    return found


def _about(
    report: Document, key: str, incident: Mapping[str, object], fields: Sequence[str]
) -> list[dict[str, object]]:
    """Return what a report lists of one incident, without its id, which differs with the rule."""
    name = incident.get("id")
    mine = (item for item in _items(report, key) if name is not None and item.get("incident") == name)
    return [{field: item.get(field) for field in fields} for item in mine]


def _brief(incident: Mapping[str, object]) -> dict[str, object]:
    return {field: incident.get(field) for field in ("root", *COMPARED)}


def _items(document: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = document.get(key)
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [item for item in items if isinstance(item, Mapping)]


def _place(ref: object) -> str:
    found = ref if isinstance(ref, Mapping) else {}
    return "/".join(str(found.get(key) or "") for key in ("kind", "namespace", "name"))


def _count(report: Document, key: str) -> int:
    return len(_items(report, key))
