"""Rules against one object: cheap filters first, then the expression; one view of the object for all its rules.

While a failure is latched, rules see the condition that said so and not the retry that hides it.
An expression that fails to evaluate never fires and is never silently false: it is counted, and shown in the trace.
"""

from dataclasses import replace
from datetime import timedelta

from daemon.engine.detect import Draft
from daemon.engine.graph import owners_of
from daemon.engine.release import workloads_of
from daemon.engine.world import Known, World, elapsed
from daemon.flux.culprit import culprit_of
from daemon.flux.decode import parse
from daemon.model.findings import Clause, Trace
from daemon.model.objects import Condition, Health, ObjectState
from daemon.model.refs import ObjectRef
from daemon.rules.expression import Activation, activation
from daemon.rules.ruleset import Rule

FAULTS_TO_DISABLE = 3
"""After so many failed evaluations a rule is out of force until the next load (promise P9)."""


def shown(known: Known) -> ObjectState:
    """Return the state as rules see it: with the latched failing condition in the place of a retry's Ready."""
    if known.health is not Health.FAILED or known.failed is None or known.failed.type != "Ready":
        return known.state
    others = tuple(condition for condition in known.state.conditions if condition.type != "Ready")
    return replace(known.state, conditions=(known.failed, *others))


def match(world: World, known: Known) -> list[Draft]:
    """Return a draft for every rule that holds for the object now."""
    state = shown(known)
    shared: Activation | None = None
    drafts = []
    values: dict[str, object] | None = None
    for rule in world.rules.for_kind(state.ref.kind):
        if not rule.match.matches(state, known.health):
            continue
        values = values or values_of(world, known)
        if rule.when is not None:
            if world.faults[rule.name] >= FAULTS_TO_DISABLE:
                continue
            shared = shared or activation(values)
            answer = rule.when.evaluate(shared)
            if answer.value is None:
                world.faults[rule.name] += 1
            if answer.value is not True:
                continue
        drafts.append(_draft(rule, values))
    return drafts


def trace(world: World, known: Known, rule: Rule) -> Trace:
    """Return every clause of one rule against one object: what was wanted, what was seen, where it stopped."""
    state = shown(known)
    clauses = rule.match.clauses(state, known.health)
    if not rule.enabled:
        clauses = (Clause("enabled", "true", "false", held=False), *clauses)
    if rule.when is None or not all(clause.held for clause in clauses):
        return Trace(rule.name, state.ref, clauses)
    answer = rule.when.evaluate(activation(values_of(world, known)))
    seen = answer.error or str(answer.value).lower()
    return Trace(rule.name, state.ref, (*clauses, Clause("when", rule.when.source, seen, answer.value)), answer.error)


def values_of(world: World, known: Known) -> dict[str, object]:
    """Return what expressions and templates see of an object."""
    state = shown(known)
    ref, condition = state.ref, state.ready
    return {
        "object": lambda: parse(state.text) if state.text else {},
        "old": {},
        "cluster": ref.cluster,
        "culprit": culprit_of(condition.message) if condition is not None and condition.status != "True" else "",
        "revision": state.attempted_revision or state.applied_revision or state.artifact_revision,
        "source": _ref_values(state.source),
        "owner": _owner(world, ref),
        "release": _release(state),
        "event": _event(world, ref),
        "health": known.health.value,
        "failing_for": timedelta(seconds=elapsed(known.failing_since, world.now)),
        "ready": _condition(state.ready),
        "stalled": _condition(state.condition("Stalled")),
        "ref": {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name},
        "suspended": state.suspended,
        "dependencies": [_named(world, dependency.ref) for dependency in state.depends_on],
        "dependents": [_named(world, dependent) for dependent in sorted(world.dependents.get(ref, ()))],
        "workload": _workload(world, state),
    }


def _draft(rule: Rule, values: dict[str, object]) -> Draft:
    return Draft(
        rule.name,
        rule.severity,
        rule.summary.render(values),
        rule.hold,
        rule.keep,
        rule.next_step.render(values) if rule.next_step else "",
        rule.runbook,
        rule.labels,
    )


def _condition(condition: Condition | None) -> dict[str, str]:
    if condition is None:
        return {"status": "", "reason": "", "message": ""}
    return {"status": condition.status, "reason": condition.reason, "message": condition.message}


def _event(world: World, ref: ObjectRef) -> dict[str, str]:
    events = world.events.get(ref)
    if not events:
        return {"reason": "", "message": "", "type": ""}
    last = events[-1]
    return {"reason": last.reason, "message": last.message, "type": "Warning" if last.warning else "Normal"}


def _ref_values(ref: ObjectRef | None) -> dict[str, str]:
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name} if ref is not None else {}


def _owner(world: World, ref: ObjectRef) -> dict[str, str]:
    """The object whose inventory holds this one, with the path in Git that it applies."""
    owners = owners_of(world, ref)
    known = world.known(owners[0]) if owners else None
    return {**_ref_values(owners[0]), "path": known.state.path} if known is not None else {}


def _release(state: ObjectState) -> dict[str, str]:
    helm = state.helm
    if helm is None:
        return {}
    return {"name": helm.release, "namespace": helm.namespace, "chart": helm.chart, "version": helm.version}


def _named(world: World, ref: ObjectRef) -> dict[str, str]:
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "health": world.health(ref).value}


def _workload(world: World, state: ObjectState) -> dict[str, int]:
    """Sum up the replicas of the object itself, or of the workloads its release owns."""
    states = [state] if state.replicas else [world.objects[ref].state for ref in sorted(workloads_of(world, state))]
    counts = [each.replicas for each in states if each.replicas]
    return {
        "desired": sum(count.desired for count in counts),
        "ready": sum(count.ready for count in counts),
        "updated": sum(count.updated for count in counts),
        "available": sum(count.available for count in counts),
    }
