"""Rules against one object: cheap filters first, then the expression; one view of the object for all its rules.

While a failure is latched, rules see the condition that said so and not the retry that hides it.
An expression that fails to evaluate never fires and is never silently false: it is counted, and shown in the trace.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

from daemon.engine.draft import Draft
from daemon.engine.graph import owners_of
from daemon.engine.pattern import advance, told
from daemon.engine.release import workloads_of
from daemon.engine.rolling import moving_until
from daemon.engine.temporal import waited
from daemon.engine.world import Known, World, elapsed
from daemon.flux.culprit import culprit_of
from daemon.flux.decode import parse
from daemon.model.findings import Clause, Trace
from daemon.model.objects import Condition, Health, ObjectState
from daemon.model.refs import Fingerprint, ObjectRef
from daemon.rules.expression import Activation, Expression, activation
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
    look = _Look(world, known)
    rules = world.rules.for_object(known.state.ref.kind, known.health)
    return [_draft(world, known, rule, look.values) for rule in rules if look(rule)]


class _Look:
    """One look at one object: its state as rules see it, and the values that they share, made when first needed."""

    def __init__(self, world: World, known: Known) -> None:
        self._world, self._known = world, known
        self._state = shown(known)
        self._shared: Activation | None = None

    def __call__(self, rule: Rule) -> bool:
        """Say whether a rule holds."""
        matches = rule.match.matches(self._state, self._known.health)
        if self._world.faults.get(rule.name, 0) >= FAULTS_TO_DISABLE:
            return False
        if not rule.temporal:
            return matches and (rule.when is None or self._ask(rule, rule.when))
        begun = rule.name in self._world.progress.get(self._state.ref, {})
        if not (matches or begun or (rule.absent_for is not None and rule.match.covers(self._state))):
            return False
        return advance(
            self._world, rule, self._state.ref, matches=matches, ask=lambda expression: self._ask(rule, expression)
        )

    @cached_property
    def values(self) -> dict[str, object]:
        return values_of(self._world, self._known)

    def _ask(self, rule: Rule, expression: Expression) -> bool:
        if "old" in expression.uses and not self._known.before:
            return False  # seen for the first time: there is nothing to compare with
        self._shared = self._shared or activation(self.values)
        answer = expression.evaluate(self._shared)
        if answer.value is None:
            self._world.faults[rule.name] += 1
        return answer.value is True


def trace(world: World, known: Known, rule: Rule) -> Trace:
    """Return every clause of one rule against one object: what was wanted, what was seen, where it stopped."""
    state = shown(known)
    clauses = rule.match.clauses(state, None if rule.temporal else known.health)
    if not rule.enabled:
        clauses = (Clause("enabled", "true", "false", held=False), *clauses)
    if not all(clause.held for clause in clauses):
        return Trace(rule.name, state.ref, clauses)
    error = ""
    if rule.when is not None and "old" in rule.when.uses and not known.before:
        clauses = (*clauses, Clause("old", "a state before this one", "none yet", held=False))
    elif rule.when is not None and not rule.temporal:
        answer = rule.when.evaluate(activation(values_of(world, known)))
        error, seen = answer.error, answer.error or str(answer.value).lower()
        clauses = (*clauses, Clause("when", rule.when.source, seen, answer.value))
    clauses = (*clauses, *told(world, rule, state.ref))
    if all(clause.held for clause in clauses):
        clauses = (*clauses, *waited(world, Fingerprint(rule.name, state.ref)))
    return Trace(rule.name, state.ref, clauses, error)


def values_of(world: World, known: Known) -> dict[str, object]:
    """Return what expressions and templates see of an object."""
    state = shown(known)
    ref, condition = state.ref, state.ready
    return {
        "object": lambda: parse(state.text) if state.text else {},
        "old": lambda: parse(known.before) if known.before else {},
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


def _draft(world: World, known: Known, rule: Rule, values: dict[str, object]) -> Draft:
    return Draft(
        rule.name,
        rule.severity,
        rule.summary.render(values),
        max(rule.hold, _graced(world, known, rule), _patience(world, known, rule)),
        rule.keep,
        rule.next_step.render(values) if rule.next_step else "",
        rule.runbook,
        rule.labels,
    )


def _graced(world: World, known: Known, rule: Rule) -> float:
    """Return the seconds that keep a rule quiet while a new revision of the source of its object rolls through."""
    if not rule.grace:
        return 0.0
    owners = [world.known(owner) for owner in owners_of(world, known.state.ref)]
    sources = {each.state.source for each in (known, *owners) if each is not None}
    revised = [found.revised_at for source in sources if source and (found := world.known(source)) is not None]
    latest = max((at for at in revised if at is not None), default=None)
    return (latest - _begun(world, known, rule)).total_seconds() + rule.grace if latest is not None else 0.0


def _patience(world: World, known: Known, rule: Rule) -> float:
    """Return the seconds that a rule waits for what a failed check names and what is still on its way."""
    until = moving_until(world, known)
    return (until - _begun(world, known, rule)).total_seconds() if until is not None else 0.0


def _begun(world: World, known: Known, rule: Rule) -> datetime:
    finding = world.findings.get(Fingerprint(rule.name, known.state.ref))
    return finding.since if finding is not None else world.now


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
