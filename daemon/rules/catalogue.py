"""The names a rule file may refer to: actions with their parameters, probes with theirs, detectors, targets.

A list of its own, because rules are compiled where neither the engine nor a cluster is: a test compares it with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

ACTIONS: Mapping[str, frozenset[str]] = {
    "reconcile": frozenset({"source"}),
    "delete-release": frozenset(),
}
"""Each action and the parameters it understands besides kind, namespace and name."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe must be told and what it may be told. Without a kind it looks at the finding's own object."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


_NAMED = frozenset({"kind", "namespace", "name"})

PROBES: Mapping[str, Probe] = {
    "absent": Probe(_NAMED),
    "workload": Probe(_NAMED, frozenset({"ready"})),
    "condition": Probe(frozenset(), _NAMED | {"type", "status", "reason"}),
    "dependents": Probe(frozenset()),
    "release": Probe(frozenset(), frozenset({"namespace", "name", "status"})),
    "exists": Probe(frozenset({"kind"}), frozenset({"namespace", "name", "at-least"})),
}
"""absent: the object is not there · workload: `ready` pods (a number, or all) · condition: `type` (Ready) has `status`
(True) at the present generation · dependents: every dependent of the
incident is well · release: the Helm release's
newest revision has `status` (deployed) · exists: `at-least` (1) objects of the kind; name is a glob."""

DETECTORS = frozenset(
    {
        "two-owners",
        "dependency-cycle",
        "dependency-missing",
        "source-missing",
        "waits-on-itself",
        "stuck-deletion",
        "not-observed",
        "suspended-blocks",
        "released-twice",
        "applied-twice",
        "drift-fight",
        "check-without-owner",
        "kind-missing",
        "ready-expr-unmet",
        "request-unhandled",
        "suspended-long",
        "controller-down",
        "controller-silent",
        "run-unfinished",
        "source-behind",
        "revision-unapplied",
        "release-contended",
        "need-missing",
        "image-pull",
        "crash-loop",
        "unschedulable",
    }
)
EVIDENCE = frozenset({"culprit", "events", "helm-release", "workload"})
"""culprit: the failing condition in full · events: the root's last warnings · helm-release: Helm's storage · workload:
what is down with it, and its pods' trouble."""
TARGETS = frozenset({"slack", "webhook", "log"})
"""Who can be told; the settings say which of them there are. The log is told when there is no other."""
SILENCE_KEYS = frozenset({"kind", "namespace", "name", "rule"})
"""What a silence of a file may match: facts of an incident's root, and the rules that found it."""
_NAMES = {
    "kind": ("Kustomization", "HelmRelease", "GitRepository", "Node"),
    "namespace": ("flux-system", "a", "team-1", "0"),
    "name": ("flux-system", "a", "team-1", "0", "a.b"),
    "rule": ("two-owners", "a", "health-check-failed", "0", "a.b"),
    "incident": ("0123abcd", "f0", "9e"),
}
"""Words that have as little in common as what a silence may match."""


def is_anything(matcher: Mapping[str, str]) -> bool:
    """Say whether a silence mutes whatever comes: each of its globs fits words that have nothing in common."""
    return all(
        key in _NAMES and all(fnmatchcase(word, pattern or "*") for word in _NAMES[key])
        for key, pattern in matcher.items()
    )
