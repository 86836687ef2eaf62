"""All that the core remembers: objects with latched health, findings, open cases, deadlines.

The World is mutable and owned by one task; what it holds is frozen, but for `Known` and `Case`, which are its own.
Limit: it decides nothing. Health, matching, causes and transitions live beside it, one file each.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.model.effects import Effect, Row
from daemon.model.findings import Finding, FindingState
from daemon.model.incidents import Incident, State
from daemon.model.notices import Notification, Reason, Silence
from daemon.model.objects import Condition, Health, ObjectState
from daemon.model.refs import EffectId, Fingerprint, IncidentId, ObjectRef, Target
from daemon.model.remedies import ActionRequest, Check, Mode
from daemon.model.signals import EventSeen, ReleaseSeen
from daemon.rules.ruleset import EMPTY, RuleSet

EVENTS_KEPT = 8
"""Events remembered for one object: enough for the evidence of an incident, bounded for a storm."""

DIAGNOSES = frozenset({"image-pull", "crash-loop", "unschedulable"})
"""Detectors that sharpen what a rule has found: of two that say the same, theirs is the better next step."""
RESOLVED_KEPT = 500
"""Resolved incidents kept in memory; the ledger has the rest."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process setting fixes for the core; all durations in seconds."""

    cluster: str = "default"
    mode: Mode = Mode.OBSERVE
    targets: tuple[Target, ...] = ()
    group_wait: float = 10.0
    """How long a new incident waits for its root before the first message."""
    resolve_after: float = 30.0
    """How long everything must stay well: one dependency poll of Flux (--requeue-dependency, 30 s)."""
    reopen_within: float = 900.0
    """A cause that fails again within this time is the same incident."""
    level_grace: float = 60.0
    """How long a member may still fail after its cause recovered: 30 s poll plus its own run, per level."""
    edit_every: float = 5.0
    """Least time between two notifications that only edit a message: Slack takes about 50 edits a minute."""
    repeat_after: float = 4 * 3600.0
    """First reminder of an incident that stays open and unacknowledged; doubles each time."""
    acknowledge_for: float = 24 * 3600.0
    """An acknowledgement lapses after this time."""
    retention: float = 90 * 86400.0
    expected: frozenset[str] = frozenset()
    """Resources that must have been listed before anything may fire."""


@dataclass(slots=True)
class Known:
    """One object as the World knows it: what it says now, and its failure latched through retries."""

    state: ObjectState
    actual: Health = Health.UNKNOWN
    health: Health = Health.UNKNOWN
    failing_since: datetime | None = None
    failed: Condition | None = None
    """The last condition that said it failed; what rules see while the failure is latched."""
    refused: str = ""
    """What Helm last said of a release that it then took back: Ready praises the remediation only."""
    last_good: str = ""
    """The revision it had when it was last Current."""
    moved_at: datetime | None = None
    """When `health` last changed."""
    heard_at: datetime | None = None
    """When it last changed in any way."""
    worked_at: datetime | None = None
    """When its status last changed: what a controller that works does to its objects again and again."""
    shared: str = ""
    """The fault from outside that its failure names; others may fail of the same."""
    revised_at: datetime | None = None
    """When its artifact last took a new revision."""
    suspended_at: datetime | None = None
    suspended_by: str = ""
    before: str = ""
    """Its JSON before its last change; kept only where a rule compares (`old`)."""

    @property
    def since(self) -> datetime | None:
        """Return since when it is not well, as far as we saw it."""
        return self.failing_since or self.moved_at


@dataclass(slots=True)
class Progress:
    """How far the pattern of one rule has come for one object (engine/pattern.py)."""

    since: datetime
    """When its test last held (absent_for), or its last step was reached (sequence)."""
    held: bool = False
    moments: tuple[datetime, ...] = ()
    """When its test became true, the oldest first; at most as many as the rule counts to."""
    stage: int = 0
    step: int = 0
    """The step of the World in which the last stage was reached: one signal is one stage at most."""
    wake: datetime | None = None


@dataclass(slots=True)
class Case:
    """An incident being worked on: the frozen incident and what only the core needs."""

    incident: Incident
    findings: set[Fingerprint] = field(default_factory=set)
    workloads: set[ObjectRef] = field(default_factory=set)
    """Workloads that failed with it: it is not over while one of them is down or gone."""
    well_since: datetime | None = None
    root_well_since: datetime | None = None
    announced: bool = False
    told_at: datetime | None = None
    edit_at: datetime | None = None
    announce_at: datetime | None = None
    repeat_at: datetime | None = None
    repeats: int = 0
    pending: dict[Reason, None] = field(default_factory=dict)
    saved: int = 0
    """Timeline entries already given to the ledger."""
    told: int = 0
    """Timeline entries already in a notification."""
    dirty: bool = True
    seen_texts: set[tuple[str, str]] = field(default_factory=set)
    """(kind, text) of entries that must not repeat."""
    attempts: int = 0
    tried: frozenset[str] = frozenset()
    """Fixes that ran for this cause, as action@revision: what failed once is not tried again."""
    not_before: datetime | None = None
    ended_at: datetime | None = None
    inhibited_by: Fingerprint | None = None
    """The finding that said the same better when it was last asked."""
    quiet_until: datetime | None = None
    """When it is asked again whether something may be said: what kept it back ends then."""

    @property
    def open(self) -> bool:
        """Say whether it is not resolved."""
        return self.incident.state is not State.RESOLVED


@dataclass(slots=True)
class Memo:
    """What the cause graph worked out since a fact last changed: asked a hundred times while a hundred fail alike."""

    causes: dict[ObjectRef, tuple[ObjectRef, ...]] = field(default_factory=dict)
    first_to_lack: dict[ObjectRef, ObjectRef] = field(default_factory=dict)
    """By what is missing: who of those that lack it stands for all."""
    alike: dict[str, list[tuple[str, ObjectRef]]] = field(default_factory=dict)
    """By shared fault: who of those that fail of it stands for all."""
    likely: dict[object, tuple[ObjectRef, ...]] = field(default_factory=dict)
    """By what is missing and where: who may bring it and never began."""
    busy: dict[str, datetime | None] = field(default_factory=dict)
    """By API group: until when runs that are under way may last."""
    down_unseen: dict[ObjectRef, bool] = field(default_factory=dict)
    """By repository: whether charts say that it does not deliver before it says so."""


@dataclass(slots=True)
class World:
    """Everything the core remembers of one cluster."""

    limits: Limits = field(default_factory=Limits)
    rules: RuleSet = EMPTY
    now: datetime = datetime.min  # noqa: DTZ901 - replaced by the first signal's own time; never compared before
    objects: dict[ObjectRef, Known] = field(default_factory=dict)
    dependents: dict[ObjectRef, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    consumers: dict[ObjectRef, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    parents: dict[ObjectRef, frozenset[ObjectRef]] = field(default_factory=dict)
    owned: dict[ObjectRef, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """Owner reference to what it owns: workloads, their replica sets, their pods."""
    released: dict[tuple[str, str], set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """(namespace, Helm release) to the workloads whose annotations claim it."""
    managers: dict[tuple[str, str], set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """(namespace, Helm release) to the HelmReleases that manage it: more than one, when two fight."""
    controllers: dict[str, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """Name of a Flux controller to the Deployments that run it."""
    hosted: dict[ObjectRef, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """Node to the pods on it."""
    bringers: dict[str, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """What may be missing (an API group, a namespace) to the appliers whose inventory has it."""
    sharing: dict[str, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """A fault from outside (webhook, policy, host, missing ConfigMap, …) to the objects whose failure names it."""
    upstreams: dict[str, set[ObjectRef]] = field(default_factory=lambda: defaultdict(set))
    """What a source fetches (kind, address, reference) to the sources that fetch it."""
    releases: dict[tuple[str, str], dict[int, ReleaseSeen]] = field(default_factory=dict)
    events: dict[ObjectRef, deque[EventSeen]] = field(default_factory=dict)
    heard_at: datetime | None = None
    """When the cluster last said anything at all: silence counts against a controller only while others are heard."""
    synced: set[str] = field(default_factory=set)
    stale: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    awake: bool = False
    """True once every expected resource was listed: only then may anything fire."""
    findings: dict[Fingerprint, Finding] = field(default_factory=dict)
    holds: dict[Fingerprint, tuple[float, float]] = field(default_factory=dict)
    """(for, keep_firing_for) of a finding, seconds."""
    tests: dict[ObjectRef, set[str]] = field(default_factory=lambda: defaultdict(set))
    cases: dict[IncidentId, Case] = field(default_factory=dict)
    membership: dict[ObjectRef, IncidentId] = field(default_factory=dict)
    """Which open incident an object belongs to: at most one."""
    watchers: dict[ObjectRef, set[IncidentId]] = field(default_factory=lambda: defaultdict(set))
    """Which open incidents must look again when an object changes."""
    dirty: dict[ObjectRef, None] = field(default_factory=dict)
    touched: dict[IncidentId, None] = field(default_factory=dict)
    active: dict[IncidentId, None] = field(default_factory=dict)
    """Incidents that this step looked at or changed: what the end of the step has to save and say."""
    memo: Memo = field(default_factory=Memo)
    """Derived: whoever changes a fact that the cause graph reads calls `forget`."""
    heap: list[tuple[datetime, int, object]] = field(default_factory=list)
    ticket: int = 0
    rows: list[Row] = field(default_factory=list)
    outgoing: list[Effect] = field(default_factory=list)
    silences: dict[str, Silence] = field(default_factory=dict)
    arrived: dict[ObjectRef, int] = field(default_factory=dict)
    """How often an event about an object arrived in this step; a moment, gone when the object was looked at."""
    progress: dict[ObjectRef, dict[str, Progress]] = field(default_factory=dict)
    """By rule, for rules that ask what happened over time."""
    standing: dict[ObjectRef, dict[str, Check]] = field(default_factory=dict)
    """Checks of scheduled procedures that did not hold, by object and PROCEDURE/CHECK."""
    inspected: dict[ObjectRef, datetime] = field(default_factory=dict)
    """When the pods of a workload were last asked for."""
    outbox: dict[EffectId, Notification] = field(default_factory=dict)
    running: dict[EffectId, ActionRequest] = field(default_factory=dict)
    commands: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    paused: bool = False
    faults: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Rule name to how often its expression failed to evaluate."""
    overruns: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Rule name to how often its expression was stopped because it took too long."""
    faulted: dict[str, str] = field(default_factory=dict)
    """Rule name to the last of these errors, with its object."""
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def known(self, ref: ObjectRef) -> Known | None:
        """Return what is known of an object, or None when it does not exist."""
        return self.objects.get(ref)

    def health(self, ref: ObjectRef) -> Health:
        """Return an object's latched health; NotFound when it does not exist."""
        known = self.objects.get(ref)
        return known.health if known else Health.NOT_FOUND

    def forget(self) -> None:
        """Forget what was worked out of facts: one of them has changed."""
        self.memo = Memo()

    def mark(self, *refs: ObjectRef) -> None:
        """Ask for these objects to be evaluated again in this step."""
        for ref in refs:
            self.dirty[ref] = None

    def touch(self, incident: IncidentId) -> None:
        """Ask for this incident to be looked at again in this step."""
        self.touched[incident] = None
        self.active[incident] = None

    def at(self, when: datetime, what: object) -> None:
        """Ask to be woken at `when` about `what` (a ref, a fingerprint or an incident id)."""
        self.ticket += 1
        heapq.heappush(self.heap, (when, self.ticket, what))

    def after(self, seconds: float, what: object) -> None:
        """Ask to be woken in so many seconds."""
        self.at(self.now + timedelta(seconds=seconds), what)

    def due(self) -> Iterator[object]:
        """Yield, and forget, everything whose time has come."""
        while self.heap and self.heap[0][0] <= self.now:
            yield heapq.heappop(self.heap)[2]

    def fires(self, ref: ObjectRef, among: Container[str] | None = None) -> bool:
        """Say whether any test of an object fires, or any among some; without the order of `firing`."""
        return any(
            self.findings[Fingerprint(test, ref)].state is FindingState.FIRING
            for test in self.tests.get(ref, ())
            if among is None or test in among
        )

    def firing(self, ref: ObjectRef) -> list[Finding]:
        """Return the firing findings of an object: worst first, then the one whose rule fits best, then by name."""
        found = [self.findings[Fingerprint(test, ref)] for test in self.tests.get(ref, ())]
        return sorted((finding for finding in found if finding.state is FindingState.FIRING), key=self._rank)

    def _rank(self, finding: Finding) -> tuple[int, tuple[int, int, int, str]]:
        rule = self.rules.rule(finding.test)
        found = -1 if finding.test in DIAGNOSES else 0
        return -finding.severity, rule.rank if rule is not None else (found, 0, 0, finding.test)

    def case_of(self, ref: ObjectRef) -> Case | None:
        """Return the open case that an object belongs to."""
        incident = self.membership.get(ref)
        return self.cases[incident] if incident else None

    def open_cases(self) -> list[Case]:
        """Return the cases that are not resolved, oldest first."""
        return sorted(
            (case for case in self.cases.values() if case.open),
            key=lambda case: (case.incident.opened_at, case.incident.id),
        )

    def save(self, row: Row) -> None:
        """Add a row to this step's commit."""
        self.rows.append(row)


def elapsed(since: datetime | None, now: datetime) -> float:
    """Return the seconds from `since` to `now`; 0 when it never began."""
    return (now - since).total_seconds() if since else 0.0
