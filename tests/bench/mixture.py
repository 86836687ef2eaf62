"""Fifty rules of every kind, and a cluster for them: what a rule set and a day of changes look like where it is used.

The rules stand in mix/rules.yaml; each is written once and comes with several numbers, so that no two are the same
expression. Limit: the shares (kinds of rules, of objects, of changes) are judged, not taken from a recorded cluster.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from daemon.flux.decode import signal_of
from daemon.model.objects import Condition, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.signals import EventSeen, ObjectChanged, Signal
from daemon.rules.compile import compile_rules
from daemon.rules.ruleset import RuleSet
from tests.bench.matter import CLUSTER, INVENTORY, Json, kustomization, later

MIX = Path(__file__).parent / "mix"
RULES = 50
NAMESPACES = 20
RATE = 20
"""Changes in a second: what a thousand objects make while all are upgraded (performance.md 3)."""
FAILING = (0, 8)
"""Of fifty objects those that fail in every other round: a Kustomization and a HelmRelease."""
PHASES = 4
WELL = "ReconciliationSucceeded"


def files(number: int = RULES) -> list[tuple[str, str]]:
    """Return rule files with so many rules, round after round of all there are, and what stands beside them."""
    written = (MIX / "rules.yaml").read_text().split("\n---\n")
    numbered = (text.replace("-N", f"-{1 + turn // len(written)}") for turn, text in enumerate(cycle(written)))
    return [("rules.yaml", "\n---\n".join(islice(numbered, number))), ("rest.yaml", (MIX / "rest.yaml").read_text())]


def mixed(number: int = RULES) -> RuleSet:
    """Return so many rules of every kind, compiled."""
    return compile_rules(files(number))


def estate(objects: int) -> list[ObjectState]:
    """Return so many objects and their source: of ten eight Kustomizations, a HelmRelease and its Deployment."""
    return [_state(_source()), *(_state(raw(index)) for index in range(objects))]


def raw(index: int) -> Json:
    """Return one object as it comes over a watch: all but the first of a namespace depend on the first."""
    if index % 10 == 9:
        return _deployment(index - 1)
    made = kustomization(index, needs=() if index < NAMESPACES else (f"app-{index % NAMESPACES:05}",))
    made["metadata"]["namespace"] = _namespace(index)
    made["metadata"]["labels"] |= {"tier": ("gold", "tin", "tin", "tin")[index % 4], "kind": "app"}
    return _as_release(made) if index % 10 == 8 else made


def day(states: list[ObjectState], begun: float = 10.0, number: int = 0) -> Iterator[Signal]:
    """Yield what changes, without end: round after round every object is looked at, works, comes out, rests.

    Most come out well; few fail in every other round, say so in an Event, and recover in the next.
    """
    size = len(states)
    while True:
        turn, index = divmod(number, size)
        at = begun + number / RATE
        new = changed(states[index], index - 1, turn)
        number += 1
        states[index] = replace(new, resource_version=str(1_000_000 + number))
        yield ObjectChanged(later(at), states[index])
        ready = new.ready
        if turn % PHASES == PHASES // 2 and ready is not None:
            yield _event(new.ref, ready, turn, at)


def changed(state: ObjectState, index: int, turn: int) -> ObjectState:
    """Return an object one look later; a heartbeat changes nothing but its version."""
    phase, turns = turn % PHASES, turn // PHASES
    if state.replicas is not None or phase in (0, PHASES - 1):
        return state
    if phase == 1:
        return _saying(state, Condition("Ready", "Unknown", "Progressing", "Reconciliation in progress", 1))
    if index % 50 in FAILING and turns % 2 == 0:
        return _saying(state, Condition("Ready", "False", _failure(state), f"it failed in round {turns}", 1))
    return _saying(state, Condition("Ready", "True", WELL, f"Applied revision: main@sha1:{turn:07x}", 1))


def renewed(state: ObjectState, version: int) -> ObjectState:
    """Return an object that says something new and is as well as before."""
    if state.replicas is not None:
        return state
    return _saying(state, Condition("Ready", "True", WELL, f"Applied revision: main@sha1:{version:07x}", 1))


def _saying(state: ObjectState, ready: Condition) -> ObjectState:
    return replace(state, conditions=(ready,))


def _failure(state: ObjectState) -> str:
    return "UpgradeFailed" if state.helm is not None else "BuildFailed"


def _event(ref: ObjectRef, ready: Condition, turn: int, at: float) -> EventSeen:
    failed = ready.status == "False"
    return EventSeen(later(at), ref, ready.reason, ready.message, warning=failed, uid=f"{ref.name}-{turn}")


def _state(made: Json) -> ObjectState:
    signal = signal_of(made, CLUSTER, later(0.0))
    if not isinstance(signal, ObjectChanged):
        raise TypeError("every object of the estate must become an ObjectChanged")
    return signal.new


def _namespace(index: int) -> str:
    return f"team-{index % NAMESPACES:02}"


def _as_release(made: Json) -> Json:
    """The same object as a HelmRelease with a chart of the source."""
    name = made["metadata"]["name"]
    chart = {"chart": f"./charts/{name}", "sourceRef": made["spec"]["sourceRef"], "version": "1.x"}
    made |= {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
    made["spec"] = {"interval": "10m0s", "timeout": "5m0s", "chart": {"spec": chart}, "values": {"a": list(range(50))}}
    release = {"name": name, "namespace": made["metadata"]["namespace"], "version": 1, "status": "deployed"}
    made["status"] = {key: made["status"][key] for key in ("conditions", "observedGeneration")}
    made["status"]["history"] = [release | {"chartName": name, "chartVersion": "1.0.0"}]
    return made


def _deployment(index: int) -> Json:
    """The Deployment of a release."""
    made, name = kustomization(index), f"app-{index:05}"
    made |= {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}}
    claims = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": _namespace(index)}
    made["metadata"] |= {"namespace": _namespace(index), "uid": f"{made['metadata']['uid']}-d", "annotations": claims}
    counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 2)
    made["status"] = {"observedGeneration": 1, **counts}
    return made


def _source() -> Json:
    made = kustomization(INVENTORY)
    made |= {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "spec": {"interval": "1m0s"}}
    made["metadata"] |= {"name": "flux-system", "namespace": "flux-system", "uid": "source"}
    made["status"] = {key: made["status"][key] for key in ("conditions", "observedGeneration")}
    made["status"]["artifact"] = {"revision": "main@sha1:4f5cd2e", "digest": "sha256:0", "url": "http://source/"}
    return made
