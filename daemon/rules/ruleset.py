"""What rule files become: immutable rules, procedures, routes, silences and windows, indexed by kind.

A rule sees its object as the engine presents it: while Failed is latched through a retry, that is the object as at its
last failure, so a rule that asks for a reason does not flicker with Flux's attempts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property

from daemon.model.errors import Problem
from daemon.model.findings import Clause, Severity
from daemon.model.notices import Silence
from daemon.model.objects import Health, ObjectState
from daemon.model.remedies import Mode
from daemon.rules.expression import Activation, Evaluation, Expression
from daemon.rules.panel import groups_of
from daemon.rules.procedure import Procedure
from daemon.rules.template import Template

_Ask = tuple[str, bool, object, object]


@dataclass(frozen=True, slots=True)
class Match:
    """The cheap part of a rule: which objects it is about. Empty fields ask nothing; namespace and name are globs."""

    kinds: frozenset[str]
    namespace: str = ""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    health: frozenset[Health] = frozenset()
    reasons: frozenset[str] = frozenset()

    def matches(self, state: ObjectState, health: Health) -> bool:
        """Say whether the rule is about this object as it stands: the answer of `clauses`, without the words."""
        if (self.health and health not in self.health) or not self._about(state):
            return False
        return not self.reasons or not self.reasons.isdisjoint(reasons_of(state))

    def covers(self, state: ObjectState) -> bool:
        """Say whether the rule is about this object at all, however it stands."""
        return self._about(state)

    def clauses(self, state: ObjectState, health: Health | None = None) -> tuple[Clause, ...]:
        """Return why, or why not: every question in order, up to the first that does not hold.

        Without a health only what is asked of the object however it stands.
        """
        answers: list[Clause] = []
        for name, held, wanted, seen in self._scope(state) if health is None else self._asks(state, health):
            answers.append(Clause(name, _words(wanted), _words(seen), held))
            if not held:
                break
        return tuple(answers)

    def _about(self, state: ObjectState) -> bool:
        ref = state.ref
        return (
            ref.kind in self.kinds
            and (not self.namespace or fnmatchcase(ref.namespace, self.namespace))
            and (not self.name or fnmatchcase(ref.name, self.name))
            and all(fnmatchcase(state.labels.get(key, ""), wanted) for key, wanted in self.labels.items())
        )

    def _asks(self, state: ObjectState, health: Health) -> Iterator[_Ask]:
        yield from self._scope(state)
        if self.health:
            yield "health", health in self.health, self.health, health
        if self.reasons:
            seen = reasons_of(state)
            yield "reason", not self.reasons.isdisjoint(seen), self.reasons, seen

    def _scope(self, state: ObjectState) -> Iterator[_Ask]:
        ref = state.ref
        yield "kind", ref.kind in self.kinds, self.kinds, ref.kind
        if self.namespace:
            yield "namespace", fnmatchcase(ref.namespace, self.namespace), self.namespace, ref.namespace
        if self.name:
            yield "name", fnmatchcase(ref.name, self.name), self.name, ref.name
        for key, wanted in self.labels.items():
            yield f"label {key}", fnmatchcase(state.labels.get(key, ""), wanted), wanted, state.labels.get(key, "")


def reasons_of(state: ObjectState) -> frozenset[str]:
    """Return the reasons that say why an object is not well: of Ready when it is not True, of Stalled when it is."""
    return frozenset(
        condition.reason
        for condition in state.conditions
        if (condition.type == "Ready" and condition.status != "True")
        or (condition.type == "Stalled" and condition.status == "True")
    )


def _words(value: object) -> str:
    if isinstance(value, frozenset):
        return " or ".join(sorted(str(item) for item in value)) or "none"
    return str(value) or "none"


@dataclass(frozen=True, slots=True)
class Count:
    """The test became true at least so often within so many seconds."""

    at_least: int
    within: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a sequence: its test, and within how many seconds of the one before (0 for the first)."""

    when: Expression
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """Another rule or detector; while it fires for the same object, namespace or cluster, the inhibited is not sent."""

    rule: str
    same: str = "object"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One action of a plan. `target` is self (the finding's object) or owner (the Kustomization that applies it).

    kind, namespace and name, where given, replace the target's.
    """

    action: str
    target: str = "self"
    kind: str = ""
    namespace: str = ""
    name: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemediationSpec:
    """How a rule's finding may be mended. Durations are seconds; `mode` is bounded by the process setting."""

    mode: Mode
    steps: tuple[StepSpec, ...]
    recovery: str = ""
    """Name of the Procedure that proves it."""
    attempts: int = 1
    cooldown: float = 1800.0
    """Least time between two attempts at one object: longer than a Helm time-out (5 min) and its rollback."""
    approval: float = 1800.0
    """How long a proposal waits for a person before it lapses."""
    resolve_after: float = 60.0
    """How long everything must stay well before the incident closes: two of Flux's 30 s dependency polls."""


@dataclass(frozen=True, slots=True)
class Route:
    """Which incidents go to which targets: routes are asked in the order of the files, the first that fits answers."""

    name: str
    min_severity: Severity = Severity.INFO
    namespaces: str = ""
    """A glob over the root's namespace; empty: any."""
    kinds: frozenset[str] = frozenset()
    rules: tuple[str, ...] = ()
    """Globs over the rules and detectors that found the incident; empty: any."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Globs over the labels of its findings."""
    targets: tuple[str, ...] = ()
    continues: bool = False
    """True: later routes are asked too."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the week, in minutes after midnight at a fixed offset from UTC, that may run past midnight.

    A fixed offset, not a zone name: a zone's rules come from files of the machine, and decisions must not.
    """

    name: str
    days: frozenset[int]
    """Days on which it begins, Monday is 0."""
    start: int
    minutes: int
    offset: int = 0
    quiet: bool = False
    """Inside it nobody is notified; the timeline goes on."""
    freeze: bool = False
    """Inside it no action runs."""
    namespaces: str = ""

    def contains(self, at: datetime, namespace: str = "") -> bool:
        """Say whether the moment, and the namespace of an incident's root, fall into it."""
        if self.namespaces and not fnmatchcase(namespace, self.namespaces):
            return False
        local = at + timedelta(minutes=self.offset)
        minute = local.hour * 60 + local.minute
        weekday = local.weekday()
        today = weekday in self.days and self.start <= minute < self.start + self.minutes
        yesterday = (weekday - 1) % 7 in self.days and minute + 24 * 60 < self.start + self.minutes
        return today or yesterday

    def ends(self, at: datetime) -> datetime:
        """Return when the stretch that contains this moment is over."""
        local = at + timedelta(minutes=self.offset)
        minute = local.hour * 60 + local.minute
        today = local.weekday() in self.days and self.start <= minute < self.start + self.minutes
        left = self.start + self.minutes - minute - (0 if today else 24 * 60)
        return at.replace(second=0, microsecond=0) + timedelta(minutes=left)


@dataclass(frozen=True, slots=True)
class GivenState:
    """What the object of an example says, for how many seconds (0: until the end)."""

    ready: str = "False"
    reason: str = ""
    message: str = ""
    stalled: str = ""
    """Reason of Stalled=True; empty: no such condition."""
    suspended: bool = False
    lag: int = 0
    """How many generations the observed one is behind."""
    waiting: int = 0
    """How many other objects depend on it and are Blocked."""
    seconds: float = 0.0
    deleting: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, object] = field(default_factory=dict)
    status: Mapping[str, object] = field(default_factory=dict)
    """Added to what the fields above say of spec and status, as Kubernetes writes them."""
    unchanged: bool = False
    """The object itself says nothing in this state: only the others do."""
    others: tuple["Other", ...] = ()
    """Other objects as they are from this moment on."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another object of an example: by what it says, or whole as Kubernetes writes it (`raw`), or `gone`."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    state: GivenState = field(default_factory=GivenState)
    gone: bool = False
    raw: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expect:
    """How an example must end."""

    state: str
    """firing, pending or none."""
    severity: Severity | None = None
    root: str = ""
    """Of the incident that its object is in then: self, none (no incident) or Kind/namespace/name; empty: not asked."""
    says: str = ""
    """What the summary must have in it."""


@dataclass(frozen=True, slots=True)
class Example:
    """A rule's own unit test: an object's history, how long it takes, and what must have come of it."""

    name: str
    given: tuple[GivenState, ...]
    after: float
    expect: Expect
    kind: str = ""
    namespace: str = ""
    object_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    line: int = 0
    file: str = ""


@dataclass(frozen=True)
class Rule:
    """A test with everything that follows from it. `hold` and `keep` are seconds (YAML: for, keep_firing_for)."""

    name: str
    match: Match
    severity: Severity
    summary: Template
    when: Expression | None = None
    count: Count | None = None
    absent_for: float | None = None
    sequence: tuple[Stage, ...] = ()
    hold: float = 0.0
    keep: float = 0.0
    grace: float = 0.0
    """Seconds after a new revision of its source in which it does not begin to fire: a push rolls through."""
    inhibited_by: tuple[Inhibitor, ...] = ()
    route: tuple[str, ...] = ()
    """Targets that its incidents go to, before any Route is asked."""
    next_step: Template | None = None
    runbook: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    evidence: tuple[str, ...] = ()
    remediation: RemediationSpec | None = None
    examples: tuple[Example, ...] = ()
    file: str = ""
    line: int = 0
    enabled: bool = True
    original: "Rule | None" = None
    """The rule as it was before an overlay changed it; its examples are of that one."""
    revised: "tuple[Rule, ...]" = ()
    """The rule as each overlay with examples of its own left it, with those examples alone."""

    @property
    def temporal(self) -> bool:
        """Say whether it asks what happened over time, and not only how things stand."""
        return self.count is not None or self.absent_for is not None or bool(self.sequence)

    @cached_property
    def tests(self) -> tuple[Expression, ...]:
        """Return every expression that it asks."""
        return (*((self.when,) if self.when is not None else ()), *(stage.when for stage in self.sequence))

    @property
    def scope(self) -> tuple[object, ...]:
        """Return what it wants of an object of its kinds before it asks its tests; those with the same ask the same."""
        match, labels = self.match, tuple(sorted(self.match.labels.items()))
        return match.namespace, match.name, labels, match.reasons, match.health if self.temporal else None

    @cached_property
    def rank(self) -> tuple[int, int, int, str]:
        """Return a sort key that puts first the rule whose words fit one failure best.

        A named object before a pattern before any; then a rule with an expression or reasons; then the fewer kinds.
        """
        match = self.match
        named = sum(2 if "*" not in text else 1 for text in (match.name, match.namespace) if text)
        asked = bool(self.tests) + bool(match.reasons) + bool(match.labels)
        return (-named, -asked, len(match.kinds), self.name)

    @cached_property
    def momentary(self) -> bool:
        """Say whether it asks of events, which are moments: then each event that arrives is asked about once."""
        return self.temporal and any("event" in test.uses for test in self.tests)


class Panel:
    """Rules for objects of one kind and health, arranged so that what they share is asked once for each object."""

    def __init__(self, rules: list[Rule]) -> None:
        """Arrange these rules."""
        now = [rule for rule in rules if not rule.temporal]
        self.temporal = tuple(rule for rule in rules if rule.temporal)
        self.plain = tuple(rule for rule in now if rule.when is None)
        """Rules without a test."""
        self.groups = tuple(groups_of((rule.scope, rule, rule.when) for rule in now if rule.when is not None))
        over_time = groups_of((rule.scope, rule, test) for rule in self.temporal for test in rule.tests)
        self._homes = {(rule.name, test): group for group in over_time for rule, test in group.members}
        tests = (test for rule in rules for test in rule.tests)
        self.uses = frozenset(name for test in tests for name in test.uses)
        """Every variable that their tests read."""

    def evaluate(self, rule: Rule, test: Expression, given: Activation) -> Evaluation:
        """Answer a test of one of the temporal rules."""
        return self._homes[rule.name, test].answer(test, given)


@dataclass(frozen=True)
class RuleSet:
    """Everything in force, swapped as a whole."""

    rules: tuple[Rule, ...] = ()
    procedures: Mapping[str, Procedure] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    silences: tuple[Silence, ...] = ()
    windows: tuple[Window, ...] = ()
    detectors_off: frozenset[str] = frozenset()
    detector_severity: Mapping[str, Severity] = field(default_factory=dict)
    detector_hold: Mapping[str, float] = field(default_factory=dict)
    """Seconds for which what a detector found must last; without an entry the detector's own."""
    detector_examples: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Warnings of lint: nothing that kept a rule from loading."""
    detector_written: Mapping[str, tuple[Severity | None, float | None]] = field(default_factory=dict)
    """Severity and hold of a detector as its examples were written, None: its own; what came later is an overlay."""

    def for_object(self, kind: str, health: Health) -> tuple[Rule, ...]:
        """Return the enabled rules that may hold for an object of this kind and health, the most specific first.

        What asks how things go over time may hold for any: it must also see how they stopped.
        """
        return self._by_health.get((kind, health), ())

    def panel(self, kind: str, health: Health, broken: frozenset[str] = frozenset()) -> "Panel":
        """Return the rules of `for_object`, without the broken ones, arranged for asking; made at the first call."""
        key = kind, health, broken
        if key not in self._panels:
            self._panels[key] = Panel([rule for rule in self.for_object(kind, health) if rule.name not in broken])
        return self._panels[key]

    def rule(self, name: str) -> Rule | None:
        """Return one rule by name, enabled or not."""
        return self._by_name.get(name)

    def remembers(self, kind: str) -> bool:
        """Say whether a rule for this kind compares an object with what it was before (`old`)."""
        return kind in self._remembering

    @cached_property
    def ages(self) -> Mapping[str, tuple[float, ...]]:
        """Return the kinds for which a rule asks how long something fails: its answer changes by the clock alone.

        With each the seconds that its rules compare with, sorted.
        """
        found: dict[str, set[float]] = {}
        for rule in self.rules:
            asking = [test for test in rule.tests if "failing_for" in test.uses]
            for kind in rule.match.kinds if rule.enabled and asking else ():
                found.setdefault(kind, set()).update(age for test in asking for age in test.ages)
        return {kind: tuple(sorted(ages)) for kind, ages in found.items()}

    @cached_property
    def _panels(self) -> dict[tuple[str, Health, frozenset[str]], "Panel"]:
        return {}

    @cached_property
    def _remembering(self) -> frozenset[str]:
        reading = (rule for rule in self.rules if any("old" in test.uses for test in rule.tests))
        return frozenset(kind for rule in reading for kind in rule.match.kinds)

    @cached_property
    def _by_name(self) -> Mapping[str, Rule]:
        return {rule.name: rule for rule in self.rules}

    @cached_property
    def _by_health(self) -> Mapping[tuple[str, Health], tuple[Rule, ...]]:
        return {
            (kind, health): tuple(
                rule for rule in rules if rule.temporal or not rule.match.health or health in rule.match.health
            )
            for kind, rules in self._by_kind.items()
            for health in Health
        }

    @cached_property
    def _by_kind(self) -> Mapping[str, tuple[Rule, ...]]:
        found: dict[str, list[Rule]] = {}
        for rule in sorted(self.rules, key=lambda each: each.rank):
            for kind in rule.match.kinds if rule.enabled else ():
                found.setdefault(kind, []).append(rule)
        return {kind: tuple(rules) for kind, rules in found.items()}


EMPTY = RuleSet()
