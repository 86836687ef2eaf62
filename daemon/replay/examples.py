"""`rules test`: each rule's own examples through the real step, on virtual time.

The object of an example is made from the rule's match; what it says over time stands in `given`. Limit: one object and
the ones that wait for it, so what needs more of a graph is tested by stories and recordings.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.world import Limits, World
from daemon.flux.kinds import group_for_kind
from daemon.model.findings import Finding, FindingState
from daemon.model.objects import Condition, Dependency, ObjectState
from daemon.model.refs import Fingerprint, ObjectRef
from daemon.model.signals import ObjectChanged, Synced, Tick
from daemon.rules.ruleset import Example, GivenState, Rule, RuleSet

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Where virtual time begins; no rule can see it."""
CLUSTER = "example"
GENERATION = 10
"""Generation of an example's object: high enough that any lag in the example leaves an observed one above zero."""


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """How one example of one rule went, in words when it failed."""

    rule: str
    example: str
    passed: bool
    detail: str = ""
    file: str = ""
    line: int = 0


def run_examples(ruleset: RuleSet, only: str = "") -> list[ExampleResult]:
    """Run every example of every rule (or of the one named) and return how each went, in the rules' order."""
    chosen = [rule for rule in ruleset.rules if not only or rule.name == only]
    return [_run(ruleset, rule, example) for rule in chosen for example in rule.examples]


def _run(ruleset: RuleSet, rule: Rule, example: Example) -> ExampleResult:
    world = World(limits=Limits(cluster=CLUSTER))
    adopt(world, ruleset, EPOCH)
    step(world, Synced(EPOCH, "examples"))
    ref = _ref(rule, example)
    at = EPOCH
    for index, given in enumerate(example.given):
        _advance(world, at)
        step(world, ObjectChanged(at, _state(ref, rule, example, given, index)))
        for number in range(given.waiting):
            step(world, ObjectChanged(at, _waiting(ref, number, index)))
        at += timedelta(seconds=given.seconds)
    _advance(world, EPOCH + timedelta(seconds=example.after))
    finding = world.findings.get(Fingerprint(rule.name, ref))
    detail = _difference(rule, example, finding)
    return ExampleResult(rule.name, example.name, not detail, detail, rule.file, example.line or rule.line)


def _advance(world: World, until: datetime) -> None:
    while (due := next_deadline(world)) is not None and due <= until:
        step(world, Tick(due))
    step(world, Tick(until))


def _difference(rule: Rule, example: Example, finding: Finding | None) -> str:
    seen = finding.state.value if finding is not None and finding.state is not FindingState.RESOLVED else "none"
    if seen != example.expect.state:
        return f"expected {example.expect.state}, was {seen} after {example.after:g} s"
    wanted = example.expect.severity
    if wanted is not None and wanted is not rule.severity:
        return f"expected severity {wanted.word}, the rule's is {rule.severity.word}"
    return ""


def _ref(rule: Rule, example: Example) -> ObjectRef:
    """Return an object that the rule is about: globs become their own fixed part."""
    kind = example.kind or min(rule.match.kinds)
    namespace = example.namespace or rule.match.namespace.replace("*", "") or "flux-system"
    name = example.object_name or rule.match.name.replace("*", "") or "example"
    return ObjectRef(CLUSTER, group_for_kind(kind), kind, namespace, name)


def _waiting(ref: ObjectRef, number: int, index: int) -> ObjectState:
    """Return an object of the same kind that depends on the example's and is held up by it."""
    message = f"dependency '{ref.namespace}/{ref.name}' is not ready"
    return ObjectState(
        ref=replace(ref, name=f"{ref.name}-waiting-{number}"),
        uid=f"waiting-{number}",
        resource_version=str(index + 1),
        generation=GENERATION,
        observed_generation=GENERATION,
        conditions=(Condition("Ready", "False", "DependencyNotReady", message),),
        depends_on=(Dependency(ref),),
    )


def _state(ref: ObjectRef, rule: Rule, example: Example, given: GivenState, index: int) -> ObjectState:
    conditions = []
    if given.ready:
        conditions.append(Condition("Ready", given.ready, given.reason, given.message))
    if given.stalled:
        conditions.append(Condition("Stalled", "True", given.stalled, given.message))
    return ObjectState(
        ref=ref,
        uid="example",
        resource_version=str(index + 1),
        generation=GENERATION,
        observed_generation=GENERATION - given.lag,
        labels={**rule.match.labels, **example.labels},
        conditions=tuple(conditions),
        suspended=given.suspended,
    )
