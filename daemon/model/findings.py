"""One rule or detector holding for one object, and the trace of how that was decided."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from daemon.model.refs import Fingerprint, ObjectRef


class Severity(IntEnum):
    """How loud: info never leaves the page and the API."""

    INFO = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        """Return the lower-case word of the contracts: info, warning or critical."""
        return self.name.lower()


class FindingState(StrEnum):
    """Pending until its `for` has passed, firing, then resolved."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Finding:
    """One test that holds for one object since a moment that we saw ourselves."""

    test: str
    ref: ObjectRef
    severity: Severity
    since: datetime
    state: FindingState
    summary: str = ""
    next_step: str = ""
    runbook: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    related: tuple[ObjectRef, ...] = ()
    """Other objects the finding names (the second owner, the missing dependency)."""
    fired_at: datetime | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """Return the identity under which this finding is remembered."""
        return Fingerprint(self.test, self.ref)


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of a rule: what was wanted, what was seen, and whether it held (None: not reached or failed)."""

    name: str
    wanted: str
    seen: str
    held: bool | None


@dataclass(frozen=True, slots=True)
class Trace:
    """Every clause of one rule against one object, in the order they were asked, up to where it stopped."""

    rule: str
    ref: ObjectRef
    clauses: tuple[Clause, ...] = field(default_factory=tuple)
    error: str = ""

    @property
    def held(self) -> bool:
        """Say whether every clause held."""
        return not self.error and all(clause.held for clause in self.clauses)
