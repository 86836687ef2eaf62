"""Everything that can happen, as values with a time in them: the only way into the core.

`at` is when we saw it (our clock); what the far side says of its own time stands in fields of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.model.incidents import Incident
from daemon.model.notices import Delivery, Notification, Silence
from daemon.model.objects import ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult


@dataclass(frozen=True, slots=True)
class ObjectChanged:
    """An object is as `new` says. `initial`: it stood in a list, so what it says is a fact, not a transition."""

    at: datetime
    new: ObjectState
    initial: bool = False


@dataclass(frozen=True, slots=True)
class ObjectGone:
    """An object was deleted, or was missing from a relist. `uid` empty: not known which incarnation."""

    at: datetime
    ref: ObjectRef
    uid: str = ""


@dataclass(frozen=True, slots=True)
class EventSeen:
    """A core Event or a notification-controller post about an object: a hint, never the state itself."""

    at: datetime
    ref: ObjectRef
    reason: str
    message: str
    warning: bool = False
    happened_at: datetime | None = None
    count: int = 1
    component: str = ""
    revision: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    origin: str = "event"
    """event (the API server's) or webhook (notification-controller's)."""
    uid: str = ""
    """uid of the Event object, empty for a webhook."""


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """One revision of a Helm release in storage, by the labels of its Secret alone; `gone` when it was removed."""

    at: datetime
    cluster: str
    namespace: str
    release: str
    revision: int
    status: str
    writer: str = ""
    created_at: datetime | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Synced:
    """The whole list of one resource (plural.group) has been seen."""

    at: datetime
    resource: str


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing trustworthy was heard of one resource for too long, or it can't be read; `Synced` ends it."""

    at: datetime
    resource: str
    reason: str
    absent: bool = False
    """True: the cluster does not have this kind at all, which is no fault."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; a deadline of the core is due."""

    at: datetime


@dataclass(frozen=True, slots=True)
class CronFired:
    """A schedule of a rule file came round."""

    at: datetime
    name: str


@dataclass(frozen=True, slots=True)
class Command:
    """A person's word: acknowledge, approve, deny, resolve, note, silence, pause. `id` makes a repeat harmless."""

    at: datetime
    id: str
    verb: str
    actor: str
    subject: str = ""
    """The incident or the plan it is about."""
    text: str = ""
    digest: str = ""
    """For approve: the digest of the plan that was read."""
    until: datetime | None = None
    """For silence: when it ends; `subject` is its matcher then, as kind=…,namespace=…"""


@dataclass(frozen=True, slots=True)
class ActionFinished:
    """What came of a RunAction."""

    at: datetime
    request: ActionRequest
    result: ActionResult


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of a Send."""

    at: datetime
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Restored:
    """What the ledger remembered, given once before anything else."""

    at: datetime
    incidents: tuple[Incident, ...] = ()
    silences: tuple[Silence, ...] = ()
    outbox: tuple[Notification, ...] = ()
    """Notifications committed but not known to be delivered."""
    intents: tuple[tuple[ActionRequest, str], ...] = ()
    """Requests without a final result, each with its last recorded state (planned or executing)."""
    paused: bool = False


Signal = (
    ObjectChanged
    | ObjectGone
    | EventSeen
    | ReleaseSeen
    | Synced
    | Stale
    | Tick
    | CronFired
    | Command
    | ActionFinished
    | Delivered
    | Restored
)


@dataclass(frozen=True, slots=True)
class Unread:
    """An ObjectChanged that nobody has decoded yet: in a burst most states are overtaken before their turn comes."""

    at: datetime
    ref: ObjectRef
    uid: str
    read: Callable[[], ObjectChanged] = field(repr=False, compare=False)
    """Decodes it; never raises."""


Arrival = Signal | Unread
