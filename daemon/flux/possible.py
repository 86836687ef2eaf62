"""What an object of a kind can be at all, as far as that is certain: its health, its conditions, what hangs on it.

Lint asks here before it says "never". Limit: only kinds that are watched are judged; of any other kind everything is
possible. A test compares this with what the engine makes of objects.
"""

from collections.abc import Iterable, Mapping

from daemon.flux.kinds import OPERATOR, WATCHED, Role
from daemon.model.objects import Health

CLUSTER_WIDE = frozenset(kind.kind for kind in WATCHED if not kind.namespaced)
"""Kinds whose objects stand in no namespace."""
SILENT = frozenset(kind.kind for kind in WATCHED if not kind.conditions)
"""Kinds of Flux without conditions."""
_PLAIN = frozenset({"Deployment", "DaemonSet", "StatefulSet", "Namespace", "CustomResourceDefinition"})
UNREADY = SILENT | _PLAIN
"""Kinds that have neither a Ready nor a Stalled condition; a Deployment's are Available and Progressing."""
NEVER = frozenset({Health.NOT_FOUND, Health.UNKNOWN})
"""What is not there is not looked at, and who is looked at stands somewhere."""
AT_EASE = frozenset({Health.CURRENT, Health.IN_PROGRESS, Health.SUSPENDED})
"""Health of an object that has not failed since it was well: a failure is kept through progress and suspension."""
_ANY = frozenset(Health) - NEVER
_ENDS = frozenset({Health.CURRENT, Health.TERMINATING})
_UNBROKEN = _ANY - {Health.FAILED, Health.BLOCKED}
_HEALTHS: Mapping[str, frozenset[Health]] = {
    "Deployment": _ENDS | {Health.IN_PROGRESS, Health.FAILED},
    "DaemonSet": _ENDS | {Health.IN_PROGRESS},
    "StatefulSet": _ENDS | {Health.IN_PROGRESS},
    "Node": _ENDS | {Health.FAILED},
    "Namespace": _ENDS,
    "CustomResourceDefinition": _UNBROKEN,
    **dict.fromkeys(SILENT, _UNBROKEN),
}
_APPLIERS = frozenset({"Kustomization", "HelmRelease", *(kind.kind for kind in WATCHED if kind.group == OPERATOR)})
_RUNNING = frozenset({"HelmRelease", *(kind.kind for kind in WATCHED if kind.role is Role.WORKLOAD)})
_KNOWN = frozenset(kind.kind for kind in WATCHED)


def healths_of(kinds: Iterable[str]) -> frozenset[Health]:
    """Return every health that an object of one of these kinds can have."""
    return frozenset().union(*(_HEALTHS.get(kind, _ANY) for kind in kinds))


def never_depend(kinds: Iterable[str]) -> bool:
    """Say whether no object of these kinds has a spec.dependsOn."""
    return all(kind in _KNOWN and kind not in _APPLIERS for kind in kinds)


def never_run(kinds: Iterable[str]) -> bool:
    """Say whether no object of these kinds has pods, of its own or of a release."""
    return all(kind in _KNOWN and kind not in _RUNNING for kind in kinds)
