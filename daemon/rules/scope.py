"""What a rule may see: the names of its variables, their fields, and what stands there when nothing is known.

Expressions and templates share this table, so both refuse the same misspelt name at load. Every variable is always
present; an absent fact is an empty string, zero, false or an empty list. `now` is left out on purpose: an expression
that reads the time would change its answer without a signal.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ready": ("status", "reason", "message"),
        "stalled": ("status", "reason", "message"),
        "event": ("reason", "message", "type"),
        "ref": ("kind", "namespace", "name"),
        "workload": ("desired", "ready", "updated", "available"),
        "source": ("kind", "namespace", "name"),
        "owner": ("kind", "namespace", "name", "path"),
        "release": ("name", "namespace", "chart", "version"),
    }
)
"""Fields of the variables that are maps with a fixed set of keys."""

OBJECT_FIELDS = ("kind", "namespace", "name", "health")
"""Fields of each entry of `dependencies` and `dependents`."""

TEXTS = ("health", "culprit", "cluster", "revision")
LISTS = ("dependencies", "dependents")
LAZY = ("object", "old")
"""The raw objects: a caller may give a function instead, called at the first expression that reads one."""

TEMPLATE_ONLY = frozenset({"culprit", "cluster", "revision", "source", "owner", "release"})
"""Facts for people: shown in summaries and next steps, not tested by expressions."""

NAMES = frozenset({*FIELDS, *TEXTS, *LISTS, *LAZY, "failing_for", "suspended"})

NUMBERS = frozenset({"workload"})

_EMPTY: Mapping[str, object] = {
    **dict.fromkeys(TEXTS, ""),
    **{name: {} for name in LAZY},
    "failing_for": timedelta(0),
    "suspended": False,
}


def filled(name: str, value: object) -> object:
    """Return a variable as plain dictionaries and lists with all its fields; empty where nothing is known (None)."""
    if name in FIELDS:
        empty: object = 0 if name in NUMBERS else ""
        return dict.fromkeys(FIELDS[name], empty) | (dict(value) if isinstance(value, Mapping) else {})
    if name in LISTS:
        return [dict(item) for item in _listed(value)]
    return _EMPTY[name] if value is None else value


def loaded(value: object) -> object:
    """Return a lazy value: the result of a function, anything else as it is."""
    return value() if callable(value) else value


def _listed(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
