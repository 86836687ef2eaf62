"""Findings with one cause, its members and its history.

An incident's id is derived from its first root and the time it opened, and never changes afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from daemon.model.findings import Severity
from daemon.model.refs import IncidentId, ObjectRef, Target
from daemon.model.remedies import Remediation


class State(StrEnum):
    """Where an incident stands; the transitions are engine/lifecycle.py's table."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    REMEDIATING = "remediating"
    RECOVERING = "recovering"
    RESOLVED = "resolved"


class Role(StrEnum):
    """Why an object is in an incident."""

    ROOT = "root"
    DEPENDENT = "dependent"
    RELATED = "related"


@dataclass(frozen=True, slots=True)
class Member:
    """One object of an incident. It stays listed after it recovered: the list is who was ever in it."""

    ref: ObjectRef
    role: Role
    joined_at: datetime
    reason: str = ""
    """Its Ready reason or health, for people."""
    parent: ObjectRef | None = None
    """The member it hangs below in the cascade tree; None for the root."""
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline: when it happened, when we saw it, what kind of thing, who said so."""

    at: datetime
    seen_at: datetime
    kind: str
    """opened, joined, recovered, cause, rerooted, event, evidence, action, milestone, command, notice, state."""
    actor: str
    """rule:NAME, detector:NAME, flux, person NAME, action:NAME, fluxmedic."""
    text: str
    object: ObjectRef | None = None
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What changed before it broke, as far as the objects say."""

    last_good: str = ""
    failing: str = ""
    commit: str = ""
    """Commit subject, where the source's event gives it."""
    source: str = ""
    owner: str = ""
    """The Kustomization and path that own the root in Git."""
    author: str = ""
    """Who made the commit, where the artifact's metadata says it (OCI only; Flux's Git events do not)."""
    controller: str = ""
    """The controller that moves the root."""
    writer: str = ""
    """The field manager that last wrote the root beside its status, and when."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One cause and everything that it broke."""

    id: IncidentId
    root: ObjectRef
    cause: str
    severity: Severity
    state: State
    opened_at: datetime
    updated_at: datetime
    rules: tuple[str, ...] = ()
    summary: str = ""
    next_step: str = ""
    runbook: str = ""
    members: tuple[Member, ...] = ()
    timeline: tuple[Entry, ...] = ()
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    change: Change = field(default_factory=Change)
    remediation: Remediation | None = None
    instructions: tuple[str, ...] = ()
    """What a person would type or change, exactly; shown in observe mode and whenever we refuse."""
    threads: Mapping[Target, str] = field(default_factory=dict)
    """Target to the message that stands there for this incident (Slack: channel:ts)."""
    related: tuple[IncidentId, ...] = ()
    flaps: int = 0
    version: int = 0

    @property
    def dependents(self) -> tuple[Member, ...]:
        """Return the members that are victims of the root, in the order they joined."""
        return tuple(member for member in self.members if member.role is Role.DEPENDENT)

    @property
    def title(self) -> str:
        """Return one line: state, severity and root."""
        return f"{self.state.upper()} · {self.severity.word} · {self.root}"
