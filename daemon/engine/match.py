"""Rules against one object: cheap filters first, then the expression; one view of the object for all its rules.

While a failure is latched, rules see the condition that said so and not the retry that hides it.
An expression that fails to evaluate never fires and is never silently false: it is counted, and shown in the trace.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from daemon.engine.draft import Draft
from daemon.engine.facts import Facts
from daemon.engine.graph import owners_of
from daemon.engine.pattern import advance, told
from daemon.engine.rolling import moving_until
from daemon.engine.temporal import kept, waited
from daemon.engine.world import Known, World
from daemon.model.findings import Clause, Trace
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import Fingerprint
from daemon.rules.expression import Activation, Evaluation, Expression, activation
from daemon.rules.ruleset import Rule

OVERRUNS_TO_DISABLE = 3
"""After so many evaluations that had to be stopped a rule is out of force until the next load (fault 43)."""


def shown(known: Known) -> ObjectState:
    """Return the state as rules see it: with the latched failing condition in the place of a retry's Ready."""
    if known.health is not Health.FAILED or known.failed is None or known.failed.type != "Ready":
        return known.state
    others = tuple(condition for condition in known.state.conditions if condition.type != "Ready")
    return replace(known.state, conditions=(known.failed, *others))


def match(world: World, known: Known) -> list[Draft]:
    """Return a draft for every rule that holds for the object now."""
    look = _Look(world, known)
    return [_draft(world, known, rule, look.facts) for rule in look.holding()]


class _Look:
    """One look at one object: its state as rules see it, and the facts that they share, made when first needed."""

    def __init__(self, world: World, known: Known) -> None:
        self._world, self._known = world, known
        self._state = shown(known)
        self._panel = world.rules.panel(known.state.ref.kind, known.health, out_of_force(world))

    def holding(self) -> Iterator[Rule]:
        """Yield the rules that hold."""
        yield from (rule for rule in self._panel.plain if self._matches(rule))
        for group in self._panel.groups:
            if not self._matches(group.first) or ("old" in group.uses and not self._known.before):
                continue  # seen for the first time: there is nothing to compare with
            for rule, answer in group.answers(self._given):
                if self._counted(rule, answer):
                    yield rule
        yield from (rule for rule in self._panel.temporal if self._advances(rule))

    @cached_property
    def facts(self) -> Facts:
        return Facts(self._world, self._known, self._state)

    @cached_property
    def _given(self) -> Activation:
        return activation(self.facts, self._panel.uses)

    def _matches(self, rule: Rule) -> bool:
        return rule.match.matches(self._state, self._known.health)

    def _advances(self, rule: Rule) -> bool:
        matches = self._matches(rule)
        begun = rule.name in self._world.progress.get(self._state.ref, {})
        if not (matches or begun or (rule.absent_for is not None and rule.match.covers(self._state))):
            return False
        return advance(self._world, rule, self._state.ref, matches=matches, ask=lambda test: self._ask(rule, test))

    def _ask(self, rule: Rule, test: Expression) -> bool:
        if "old" in test.uses and not self._known.before:
            return False
        return self._counted(rule, self._panel.evaluate(rule, test, self._given))

    def _counted(self, rule: Rule, answer: Evaluation) -> bool:
        """Say whether a test holds; count it when it could not be evaluated."""
        if answer.value is None:
            self._world.faults[rule.name] += 1
            self._world.faulted[rule.name] = f"{answer.error} ({self._state.ref})"
            self._world.overruns[rule.name] += answer.ran_out
        return answer.value is True


def out_of_force(world: World) -> frozenset[str]:
    """Return the rules that are out of force because their tests had to be stopped too often."""
    return frozenset(name for name, count in world.overruns.items() if count >= OVERRUNS_TO_DISABLE)


def trace(world: World, known: Known, rule: Rule) -> Trace:
    """Return every clause of one rule against one object: what was wanted, what was seen, where it stopped."""
    found = _traced(world, known, rule)
    return replace(found, clauses=(*found.clauses, *kept(world, Fingerprint(rule.name, known.state.ref))))


def _traced(world: World, known: Known, rule: Rule) -> Trace:
    state = shown(known)
    clauses = (*_in_force(world, rule), *rule.match.clauses(state, None if rule.temporal else known.health))
    if not all(clause.held for clause in clauses):
        return Trace(rule.name, state.ref, clauses)
    if rule.temporal:
        over_time = told(world, rule, state.ref)
        now, error = ((), "") if all(clause.held for clause in over_time) else _now(world, known, rule)
        clauses = (*clauses, *now, *over_time)
    else:
        asked, error = _asked(world, known, "when", rule.when)
        clauses = (*clauses, *asked)
    if all(clause.held for clause in clauses):
        clauses = (*clauses, *waited(world, Fingerprint(rule.name, state.ref)))
    return Trace(rule.name, state.ref, clauses, error)


def _in_force(world: World, rule: Rule) -> tuple[Clause, ...]:
    if not rule.enabled:
        return (Clause("enabled", "true", "false", held=False),)
    if rule.name in out_of_force(world):
        said = f"out of force until the next load: stopped {world.overruns[rule.name]} times, it takes too many steps"
        return (Clause("in force", "true", said, held=False),)
    return ()


def _now(world: World, known: Known, rule: Rule) -> tuple[tuple[Clause, ...], str]:
    """Return how what a rule counts or waits for stands at this moment, for one whose pattern is not complete."""
    stands = rule.match.clauses(shown(known), known.health)
    clauses = tuple(clause for clause in stands if clause.name in ("health", "reason"))
    if not all(clause.held for clause in clauses):
        return clauses, ""
    reached = world.progress.get(known.state.ref, {}).get(rule.name)
    stage = min(reached.stage if reached is not None else 0, len(rule.sequence) - 1)
    named = f"step {stage + 1}" if rule.sequence else "when"
    asked, error = _asked(world, known, named, rule.sequence[stage].when if rule.sequence else rule.when)
    return (*clauses, *asked), error


def _asked(world: World, known: Known, name: str, test: Expression | None) -> tuple[tuple[Clause, ...], str]:
    """Return what a test says of an object now, and its error."""
    if test is None:
        return (), ""
    if "old" in test.uses and not known.before:
        return (Clause("old", "a state before this one", "none yet", held=False),), ""
    answer = test.evaluate(activation(Facts(world, known, shown(known)), test.uses))
    return (Clause(name, test.source, answer.error or str(answer.value).lower(), answer.value),), answer.error


def _draft(world: World, known: Known, rule: Rule, values: Facts) -> Draft:
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
