"""What to say to whom and why now; one attempt at saying it; who asked for quiet."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from daemon.model.incidents import Entry, Incident
from daemon.model.refs import EffectId, Target


class Reason(StrEnum):
    """Why a notification leaves now."""

    OPENED = "opened"
    JOINED = "joined"
    CAUSE_CHANGED = "cause-changed"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    PROPOSED = "proposed"
    STARTED = "started"
    VERIFIED = "verified"
    FAILED = "failed"
    REPEATED = "repeated"
    REOPENED = "reopened"
    RESOLVED = "resolved"


QUIET = frozenset({Reason.JOINED})
"""Reasons that only edit the root message; all others also add a line to its thread."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell one target: the incident as it was decided, the reason, and what is new since the last one.

    `key` is derived from target, incident, reason and incident version: it is the idempotency key and stays
    the same over every retry.
    """

    key: EffectId
    target: Target
    reason: Reason
    incident: Incident
    at: datetime
    news: tuple[Entry, ...] = ()


class Sent(StrEnum):
    """How an attempt at one target ended."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt. `retry_after` is seconds the far side asked for; `thread` is where the message stands now."""

    key: EffectId
    target: Target
    incident: str
    outcome: Sent
    detail: str = ""
    thread: str = ""
    retry_after: float | None = None
    duplicate: bool = False
    """Found already shown: nothing was posted again."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Quiet asked for by a person: a matcher, an end and a comment are all required."""

    id: str
    matcher: tuple[tuple[str, str], ...]
    ends_at: datetime
    comment: str
    by: str
    starts_at: datetime | None = None
