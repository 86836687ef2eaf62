"""Conditions, durations and kstatus as Flux computes and prints them, pure."""

import re
from typing import Any

Json = dict[str, Any]

_FIRST = ("Stalled", "Reconciling", "Ready")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


COMPLETE = {
    "DaemonSet": ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"),
    "Deployment": ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"),
}
"""Which counts of a workload must equal the wanted number of pods."""


def seconds(text: object, default: float) -> float:
    """Return a Go duration such as 1h30m in seconds; `default` when there is none."""
    parts = _PART.findall(str(text or ""))
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else default


def duration(value: float) -> str:
    """Return seconds as Go prints a duration: 2m0.013966s, 26.090634ms, 10m0s."""
    if value < 1:
        return f"{value * 1000:.6f}".rstrip("0").rstrip(".") + "ms" if value else "0s"
    whole, rest = divmod(round(value, 9), 60)
    text = f"{rest:.9f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(int(whole), 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def condition(item: Json, kind: str) -> Json | None:
    """Return an object's condition of that type."""
    rows: list[Json] = item.get("status", {}).get("conditions", [])
    return next((row for row in rows if row["type"] == kind), None)


def is_true(item: Json, kind: str) -> bool:
    """Say whether an object's condition is True."""
    found = condition(item, kind)
    return found is not None and found["status"] == "True"


def mark(status: Json, kind: str, value: str, reason: str, message: str, *, generation: int, at: str) -> None:
    """Set a condition in a status. Reconciling and Stalled exclude each other; the order is Flux's."""
    if kind in ("Stalled", "Reconciling"):
        unmark(status, "Reconciling" if kind == "Stalled" else "Stalled")
    rows: list[Json] = status.setdefault("conditions", [])
    row = {"type": kind, "status": value, "reason": reason, "message": message, "observedGeneration": generation}
    old = next((one for one in rows if one["type"] == kind), None)
    same = old is not None and all(old[key] == row[key] for key in ("status", "reason", "message"))
    row["lastTransitionTime"] = old["lastTransitionTime"] if old is not None and same else at
    rows = [one for one in rows if one["type"] != kind] + [row]
    rows.sort(key=lambda one: _FIRST.index(one["type"]) if one["type"] in _FIRST else len(_FIRST))
    status["conditions"] = rows


def unmark(status: Json, *kinds: str) -> None:
    """Remove conditions from a status."""
    status["conditions"] = [row for row in status.get("conditions", []) if row["type"] not in kinds]


def kstatus(item: Json | None) -> str:
    """Return Current, InProgress, Failed, Terminating or NotFound."""
    if item is None:
        return "NotFound"
    if "deletionTimestamp" in item["metadata"]:
        return "Terminating"
    status, spec = item.get("status", {}), item.get("spec", {})
    observed = status.get("observedGeneration")
    if observed is not None and observed != item["metadata"].get("generation"):
        return "InProgress"
    names = COMPLETE.get(item["kind"])
    if names:
        wanted = spec.get("replicas", 1) if item["kind"] == "Deployment" else status.get("desiredNumberScheduled", -1)
        return "Current" if all(status.get(name, 0) == wanted for name in names) else "InProgress"
    if item["kind"] == "Job":
        return "Failed" if is_true(item, "Failed") else "Current" if is_true(item, "Complete") else "InProgress"
    return _by_conditions(status)


def _by_conditions(status: Json) -> str:
    for row in status.get("conditions", []):
        if row["type"] == "Reconciling" and row["status"] == "True":
            return "InProgress"
        if row["type"] == "Stalled" and row["status"] == "True":
            return "Failed"
        if row["type"] == "Ready":
            return "Current" if row["status"] == "True" else "InProgress"
    return "Current"


def named(item: Json) -> str:
    """Return Kind/namespace/name, or Kind/name of a cluster-scoped object, as Flux's messages do."""
    meta = item["metadata"]
    return "/".join(part for part in (item["kind"], meta.get("namespace", ""), meta["name"]) if part)
