"""`rules test`: the examples of rules and detectors through the real decoder and the real step, on virtual time.

The object of an example is made from the rule's match; what it says over time stands in `given`, beside it whatever
`others` show. Limit: a handful of objects; what needs a whole cluster is tested by stories and recordings.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from daemon.engine.match import trace
from daemon.engine.step import adopt, next_deadline, step
from daemon.engine.world import Limits, World
from daemon.flux.decode import gone_of, signal_of
from daemon.flux.kinds import KINDS, group_for_kind, kind_of, resource_of
from daemon.model.findings import Clause, Finding, FindingState
from daemon.model.refs import Fingerprint, ObjectRef
from daemon.model.signals import Signal, Synced, Tick
from daemon.rules.ruleset import Example, GivenState, Other, Rule, RuleSet

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Where virtual time begins: an example that writes times of its own counts from here."""
CLUSTER = "example"
GENERATION = 10
"""Generation of an example's object: high enough that any lag in the example leaves an observed one above zero."""
NONE = "none"

Raw = dict[str, object]


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """How one example of one rule or detector went, in words when it failed; `wanted` and `seen` field by field."""

    rule: str
    example: str
    passed: bool
    detail: str = ""
    file: str = ""
    line: int = 0
    wanted: tuple[tuple[str, str], ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    clauses: tuple[Clause, ...] = ()
    """Why the rule holds or not at the end; empty for a detector."""


def run_examples(ruleset: RuleSet, only: Callable[[str], object] | None = None) -> list[ExampleResult]:
    """Run every example of every rule and detector and return how each went, in their order.

    With `only`, those of rules and detectors whose name it says yes to.

    A rule or detector that an overlay changed is tested as it was before: its examples are of that one. Examples that
    an overlay has are of the rule as that overlay left it.
    """
    written = _as_written(ruleset)
    tests = [(written, rule.name, rule.examples) for rule in written.rules]
    tests += [(_with(written, each), each.name, each.examples) for rule in ruleset.rules for each in rule.revised]
    tests += [(written, *each) for each in written.detector_examples.items() if each[0] not in written.detectors_off]
    chosen = [test for test in tests if only is None or only(test[1])]
    return [_run(rules, name, each) for rules, name, examples in chosen for each in examples]


def _with(ruleset: RuleSet, rule: Rule) -> RuleSet:
    """Return the rule set with this one in the place of the rule of its name."""
    return replace(ruleset, rules=tuple(rule if each.name == rule.name else each for each in ruleset.rules))


def _as_written(ruleset: RuleSet) -> RuleSet:
    """Return the rules and detectors as they were when their examples were written."""
    severities, holds = dict(ruleset.detector_severity), dict(ruleset.detector_hold)
    for name, (severity, hold) in ruleset.detector_written.items():
        severities.pop(name, None)
        holds.pop(name, None)
        severities |= {name: severity} if severity is not None else {}
        holds |= {name: hold} if hold is not None else {}
    rules = tuple(rule.original or rule for rule in ruleset.rules)
    return replace(ruleset, rules=rules, detector_severity=severities, detector_hold=holds)


def difference(result: ExampleResult) -> list[str]:
    """Return what was expected and what came as lines of a diff, and below them every clause of the rule."""
    lines = ["--- expected", "+++ got"]
    for (name, wanted), (_, seen) in zip(result.wanted, result.seen, strict=True):
        same = wanted == seen
        lines += [f" {name}: {wanted}"] if same else [f"-{name}: {wanted}", f"+{name}: {seen}"]
    for clause in result.clauses:
        mark = {True: "✓", False: "✗", None: "?"}[clause.held]
        lines.append(f" {mark} {clause.name}: wanted {clause.wanted}, saw {clause.seen}")
    return lines


def _run(ruleset: RuleSet, test: str, example: Example) -> ExampleResult:
    world = World(limits=Limits(cluster=CLUSTER))
    adopt(world, ruleset, EPOCH)
    for kind in KINDS:
        step(world, Synced(EPOCH, resource_of(kind)))
    ref = _ref(example)
    _play(world, ref, example)
    wanted, seen = _compared(world, test, example, ref)
    detail = next((_sentence(name, value, seen, example) for name, value in wanted if (name, value) not in seen), "")
    known, rule = world.known(ref), ruleset.rule(test)
    clauses = trace(world, known, rule).clauses if known is not None and rule is not None else ()
    place = (example.file, example.line)
    return ExampleResult(test, example.name, not detail, detail, *place, wanted, seen, clauses)


def _play(world: World, ref: ObjectRef, example: Example) -> None:
    """Let happen what the example says, as far as it goes until the moment that is asked about."""
    at, version, end = EPOCH, 0, EPOCH + timedelta(seconds=example.after)
    for given in example.given:
        if at > end:
            break
        _advance(world, at)
        for signal in _signals(ref, example, given, at, version):
            step(world, signal)
        version += len(given.others) + given.waiting + 1
        at += timedelta(seconds=given.seconds)
    _advance(world, end)


def _advance(world: World, until: datetime) -> None:
    while (due := next_deadline(world)) is not None and due <= until:
        step(world, Tick(due))
    step(world, Tick(until))


def _compared(
    world: World, test: str, example: Example, ref: ObjectRef
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Return what the example expects and what came of it, as fields in the same order."""
    finding = world.findings.get(Fingerprint(test, ref))
    shown = replace(finding, state=FindingState.FIRING) if finding is not None and _is_kept(finding) else finding
    wanted, seen = [("state", example.expect.state)], [("state", shown.state.value if shown else NONE)]
    if example.expect.severity is not None:
        wanted.append(("severity", example.expect.severity.word))
        seen.append(("severity", _severity(world, test, shown)))
    if example.expect.root:
        wanted.append(("root", example.expect.root))
        seen.append(("root", _root(world, ref)))
    if example.expect.says:
        summary, said = finding.summary if finding is not None else NONE, example.expect.says
        wanted.append(("says", said))
        seen.append(("says", said if said in summary else summary))
    return tuple(wanted), tuple(seen)


def _root(world: World, ref: ObjectRef) -> str:
    """Return the root of the incident that an object is in, as an example writes it."""
    case = world.case_of(ref)
    if case is None:
        return NONE
    return "self" if case.incident.root == ref else str(case.incident.root)


def _is_kept(finding: Finding) -> bool:
    """Say whether a finding only goes on for its `keep_firing_for`: to everybody else it still fires."""
    return finding.state is FindingState.RESOLVED


def _severity(world: World, test: str, finding: Finding | None) -> str:
    rule = world.rules.rule(test)
    if finding is not None:
        return finding.severity.word
    return rule.severity.word if rule is not None else NONE


def _sentence(name: str, wanted: str, seen: Iterable[tuple[str, str]], example: Example) -> str:
    was = dict(seen)[name]
    if name == "severity":
        return f"expected severity {wanted}, the rule's is {was}"
    if name == "root":
        return f"expected the root {wanted}, it was {was}"
    if name == "says":
        return f"expected a summary with {wanted!r}, it was {was!r}"
    return f"expected {wanted}, was {was} after {example.after:g} s"


def _ref(example: Example) -> ObjectRef:
    """Return the object that the example is about."""
    return _named(example.kind, example.namespace or "flux-system", example.object_name or "example")


def _named(kind: str, namespace: str, name: str) -> ObjectRef:
    group = group_for_kind(kind)
    known = kind_of(group, kind)
    return ObjectRef(CLUSTER, group, kind, "" if known is not None and not known.namespaced else namespace, name)


def _signals(ref: ObjectRef, example: Example, given: GivenState, at: datetime, version: int) -> Iterable[Signal]:
    """Yield what is heard at the beginning of one state: the others first, then the object itself."""
    for number, other in enumerate(given.others, start=version + 1):
        heard = _other(ref, other, at, number)
        if heard is not None:
            yield heard
    last = version + len(given.others) + 1
    if given.unchanged:
        return
    yield from filter(None, [signal_of(_raw(ref, example.labels, given, last), CLUSTER, at)])
    for number in range(given.waiting):
        waiting = _named(ref.kind, ref.namespace, f"{ref.name}-waiting-{number}")
        told = f"dependency '{ref.namespace}/{ref.name}' is not ready"
        need = {"dependsOn": [{"name": ref.name, "namespace": ref.namespace}]}
        says = GivenState(reason="DependencyNotReady", message=told, spec=need)
        yield from filter(None, [signal_of(_raw(waiting, {}, says, last + number + 1), CLUSTER, at)])


def _other(ref: ObjectRef, other: Other, at: datetime, version: int) -> Signal | None:
    if other.raw:
        return gone_of(other.raw, CLUSTER, at) if other.gone else signal_of(other.raw, CLUSTER, at)
    raw = _raw(_named(other.kind, other.namespace or ref.namespace, other.name), other.labels, other.state, version)
    return gone_of(raw, CLUSTER, at) if other.gone else signal_of(raw, CLUSTER, at)


def _raw(ref: ObjectRef, labels: Mapping[str, str], given: GivenState, version: int) -> Raw:
    """Return an object as the API server would show it."""
    known = kind_of(ref.group, ref.kind)
    api = (known.versions[0] if known is not None else "v1", ref.group)
    conditions: list[object] = []
    for kind, status, reason in (("Ready", given.ready, given.reason), ("Stalled", "True", given.stalled)):
        if (status and kind == "Ready") or (given.stalled and kind == "Stalled"):
            conditions.append({"type": kind, "status": status, "reason": reason, "message": given.message})
    more = given.status.get("conditions")
    conditions += more if isinstance(more, list) else []
    metadata: Raw = {
        "name": ref.name,
        "namespace": ref.namespace,
        "uid": str(ref),
        "generation": GENERATION,
        "resourceVersion": str(version),
        "labels": dict(labels),
        "annotations": dict(given.annotations),
    }
    if given.deleting:
        metadata |= {"deletionTimestamp": EPOCH.isoformat(), "finalizers": ["finalizers.fluxcd.io"]}
    return {
        "apiVersion": f"{api[1]}/{api[0]}" if api[1] else api[0],
        "kind": ref.kind,
        "metadata": metadata,
        "spec": ({"suspend": True} if given.suspended else {}) | dict(given.spec),
        "status": {"observedGeneration": GENERATION - given.lag} | dict(given.status) | {"conditions": conditions},
    }
