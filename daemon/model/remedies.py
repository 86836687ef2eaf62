"""The ordered attempt to mend one incident: plan, guards' verdicts, actions, and the checks that prove it worked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from daemon.model.refs import EffectId, IncidentId, ObjectRef


class Mode(StrEnum):
    """How far a rule, a cluster or the process may go; the lowest of the three holds."""

    OBSERVE = "observe"
    PROPOSE = "propose"
    AUTO = "auto"


MODE_ORDER = (Mode.OBSERVE, Mode.PROPOSE, Mode.AUTO)


class Outcome(StrEnum):
    """What came of an action. Unknown is settled by `look`, never by running again."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_DONE = "not done"
    """What a look found of a request that was lost: it never took effect, and may be asked for anew."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the object must still be when the write reaches it; empty fields are not asked for."""

    uid: str = ""
    generation: int | None = None
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """One action to be done once. `id` is derived from incident, plan, step and attempt; also the write's token."""

    id: EffectId
    incident: IncidentId
    plan: str
    step: int
    attempt: int
    action: str
    ref: ObjectRef
    params: Mapping[str, str] = field(default_factory=dict)
    expects: Expectation = field(default_factory=Expectation)
    requested_at: datetime | None = None
    deadline: datetime | None = None
    dry_run: bool = False

    @property
    def token(self) -> str:
        """Return the value that the write leaves in the cluster, so that a lost outcome can be looked up."""
        return f"fluxmedic-{self.id}"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What an action did, for people (`detail`) and as evidence lines."""

    outcome: Outcome
    detail: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allow:
    """The guards have nothing against it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now; ask again at `until` or when something changes."""

    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deny:
    """No, and why."""

    reason: str


Verdict = Allow | Wait | Deny


@dataclass(frozen=True, slots=True)
class Check:
    """Who must be in what state, how soon (`within` seconds after the fix began) and for how long (`hold` seconds)."""

    id: str
    probe: str
    """absent, workload, condition, dependents or release."""
    ref: ObjectRef | None
    text: str
    within: float
    hold: float = 0.0
    optional: bool = False
    params: Mapping[str, str] = field(default_factory=dict)


class CheckState(StrEnum):
    """Skipped is never passed."""

    PENDING = "pending"
    MET = "met"
    MISSED = "missed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Milestone:
    """One check of the recovery contract and how it went: expected against actual."""

    check: Check
    state: CheckState = CheckState.PENDING
    seen: str = ""
    met_at: datetime | None = None
    late: bool = False
    """Met, but after its time."""
    held_since: datetime | None = None
    """Since when it holds without a break; it is met once that lasted the check's `hold`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a plan and how far it is."""

    action: str
    ref: ObjectRef
    params: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    """The exact change, for people: what is written where."""
    outcome: Outcome | None = None
    detail: str = ""
    tries: int = 0
    """How often it was asked for and found not done: a crash, or a connection that broke."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Phase(StrEnum):
    """Where a remediation stands."""

    PROPOSED = "proposed"
    RUNNING = "running"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DENIED = "denied"
    EXPIRED = "expired"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Remediation:
    """One plan for one incident. The digest binds an approval to uid, generation, revision and steps."""

    id: str
    incident: IncidentId
    rule: str
    mode: Mode
    phase: Phase
    steps: tuple[Step, ...]
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    attempt: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    approved_by: str = ""
    verdict: str = ""
    milestones: tuple[Milestone, ...] = ()
    resolve_after: float = 0.0

    @property
    def current(self) -> int:
        """Return the index of the first step without an outcome; the number of steps when all are done."""
        for index, step in enumerate(self.steps):
            if step.outcome is None:
                return index
        return len(self.steps)
