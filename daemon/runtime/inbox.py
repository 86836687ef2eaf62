"""Where signals wait for the pump: keyed and coalescing, hence bounded by the number of keys; never blocks.

Objects merge by ref: the newest state stands where the oldest waited. Events are a bounded ring: hints may be lost, and
are counted. Results and commands are never merged away.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace

from daemon.model.signals import (
    ActionFinished,
    Command,
    CronFired,
    Delivered,
    EventSeen,
    ObjectChanged,
    ObjectGone,
    ReleaseSeen,
    Signal,
    Stale,
    Synced,
)

EVENTS = 5000
"""Events that may wait: 5,000 entries of 300 bytes are 1.5 MB (performance.md 3)."""


class KeyedInbox:
    """The Inbox port."""

    def __init__(self, events: int = EVENTS) -> None:
        """Keep at most so many events."""
        self._waiting: OrderedDict[object, Signal] = OrderedDict()
        self._events = 0
        self._limit = events
        self._bell = asyncio.Event()
        self.merged = 0
        self.dropped = 0
        self.received = 0

    def __len__(self) -> int:
        """Return how many signals wait."""
        return len(self._waiting)

    def put(self, signal: Signal) -> None:
        """Take a signal; merge it with the one that waits under the same key."""
        self.received += 1
        key = _key(signal)
        before = self._waiting.get(key)
        if before is None:
            self._add(key, signal)
        elif isinstance(before, ObjectChanged | ObjectGone) and _is_another(before, signal):
            self._waiting[(key, "before", self.received)] = self._waiting.pop(key)
            self._waiting[key] = signal
        else:
            self.merged += 1
            self._waiting[key] = _merge(before, signal)
        self._bell.set()

    def take(self) -> Signal | None:
        """Return the signal that waited longest, or None."""
        if not self._waiting:
            return None
        _, signal = self._waiting.popitem(last=False)
        if isinstance(signal, EventSeen):
            self._events -= 1
        return signal

    async def wait(self) -> None:
        """Wait until a signal is there."""
        while not self._waiting:
            self._bell.clear()
            await self._bell.wait()

    def _add(self, key: object, signal: Signal) -> None:
        if isinstance(signal, EventSeen):
            if self._events >= self._limit:
                oldest = next(each for each, item in self._waiting.items() if isinstance(item, EventSeen))
                del self._waiting[oldest]
                self.dropped += 1
            else:
                self._events += 1
        self._waiting[key] = signal


def _key(signal: Signal) -> object:  # noqa: PLR0911 - one row a kind of signal
    match signal:
        case ObjectChanged(new=state):
            return ("object", state.ref)
        case ObjectGone(ref=ref):
            return ("object", ref)
        case EventSeen():
            return ("event", signal.ref, signal.reason, signal.message)
        case ReleaseSeen():
            return ("release", signal.cluster, signal.namespace, signal.release, signal.revision)
        case Synced(resource=resource) | Stale(resource=resource):
            return ("resource", resource, type(signal))
        case CronFired(name=name):
            return ("cron", name)
        case Command(id=command):
            return ("command", command)
        case ActionFinished(request=request):
            return ("action", request.id)
        case Delivered(delivery=delivery):
            return ("delivered", delivery.key)
        case _:
            return (type(signal),)


def _is_another(before: ObjectChanged | ObjectGone, after: Signal) -> bool:
    """Say whether the object was deleted and created anew between two signals: both must be seen."""
    old = before.new.uid if isinstance(before, ObjectChanged) else before.uid
    new = after.new.uid if isinstance(after, ObjectChanged) else after.uid if isinstance(after, ObjectGone) else ""
    return bool(old and new and old != new) or (isinstance(before, ObjectGone) and isinstance(after, ObjectChanged))


def _merge(before: Signal, after: Signal) -> Signal:
    """Return what stands for both: the newest; a fact of the first list stays one only if nothing followed it."""
    if isinstance(before, ObjectChanged) and isinstance(after, ObjectChanged):
        return replace(after, initial=before.initial and after.initial)
    return after
