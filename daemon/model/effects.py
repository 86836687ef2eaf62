"""Everything the core can ask the shell to do, as values.

An effect leaves only after the Commit of the same step is durable; the pump keeps that order.
"""

from dataclasses import dataclass
from datetime import datetime

from daemon.model.incidents import Entry, Incident
from daemon.model.notices import Delivery, Notification, Silence
from daemon.model.refs import EffectId, ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult


@dataclass(frozen=True, slots=True)
class SaveIncident:
    """The incident as it stands now; `news` are the entries that were not saved before."""

    incident: Incident
    news: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class SaveOutbox:
    """A notification that must be sent; it is pending until a SaveDelivery settles it."""

    notification: Notification


@dataclass(frozen=True, slots=True)
class SaveDelivery:
    """What came of a notification."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class SaveIntent:
    """An action that is about to be asked for."""

    request: ActionRequest


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What came of an action."""

    id: EffectId
    result: ActionResult


@dataclass(frozen=True, slots=True)
class SaveSilence:
    """A silence, new or changed."""

    silence: Silence


@dataclass(frozen=True, slots=True)
class SavePause:
    """The kill switch."""

    paused: bool


@dataclass(frozen=True, slots=True)
class ForgetBefore:
    """Retention has passed for every incident that was resolved and last changed before this time."""

    at: datetime


Row = SaveIncident | SaveOutbox | SaveDelivery | SaveIntent | SaveResult | SaveSilence | SavePause | ForgetBefore


@dataclass(frozen=True, slots=True)
class Commit:
    """Rows to make durable before any other effect of this step leaves."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class RunAction:
    """Do this in the cluster, once."""

    request: ActionRequest
    look: bool = False
    """True: a former outcome is unknown; ask the cluster what happened and do nothing."""


@dataclass(frozen=True, slots=True)
class Send:
    """Tell this target."""

    notification: Notification


@dataclass(frozen=True, slots=True)
class Inspect:
    """Read the pods of this workload: its trouble stands there. Answered by ObjectChanged signals of those pods."""

    ref: ObjectRef
    selector: tuple[tuple[str, str], ...]
    known: tuple[ObjectRef, ...] = ()
    """Pods and replica sets known from an earlier look: those that are there no more are answered by ObjectGone."""


Effect = Commit | RunAction | Send | Inspect
