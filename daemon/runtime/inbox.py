"""Where signals wait for the pump: keyed and coalescing, hence bounded by the number of keys; never blocks.

Objects merge by ref: the newest state stands where the oldest waited, and at most two incarnations of one name are
kept apart, the one the World may know and the newest. What comes unread is read when it leaves. Facts leave in the
order they came. Events are hints in a ring of their own: the oldest are dropped and counted. Results and commands are
never merged away.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace

from daemon.model.signals import (
    ActionFinished,
    Arrival,
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
    Unread,
)

EVENTS = 5000
"""Events that may wait: 5,000 entries of 300 bytes are 1.5 MB (performance.md 3)."""
COMMANDS = 100
"""Commands that may wait before their senders are told to come again: people do not type faster."""

UNREAD = 1000
"""Objects that may wait unread: as a dictionary one takes ten times what is kept of it (22 kB, performance.md 2)."""

AboutObject = ObjectChanged | ObjectGone | Unread


class KeyedInbox:
    """The Inbox port."""

    def __init__(self, events: int = EVENTS) -> None:
        """Keep at most so many events."""
        self._facts: OrderedDict[object, tuple[Arrival, ...]] = OrderedDict()
        self._unread = 0
        self._events: OrderedDict[object, EventSeen] = OrderedDict()
        self._limit = events
        self._bell = asyncio.Event()
        self._event_next = False
        self._commands = 0
        self.merged = 0
        self.dropped = 0
        self.received = 0

    def __len__(self) -> int:
        """Return how many keys wait."""
        return len(self._facts) + len(self._events)

    @property
    def busy(self) -> bool:
        """Say whether so many commands wait that their senders should come again."""
        return self._commands >= COMMANDS

    def put(self, signal: Arrival) -> None:
        """Take a signal; merge it with the one that waits under the same key."""
        self.received += 1
        if isinstance(signal, AboutObject):
            self._put_object(signal)
        elif isinstance(signal, EventSeen):
            self._put_event(signal)
        else:
            self._put_other(signal)
        self._bell.set()

    def take(self) -> Signal | None:
        """Return the signal that waited longest, facts and events by turns, or None."""
        if self._events and (self._event_next or not self._facts):
            self._event_next = False
            return self._events.popitem(last=False)[1]
        if not self._facts:
            return None
        self._event_next = True
        key, waiting = self._facts.popitem(last=False)
        if len(waiting) > 1:
            self._facts[key] = waiting[1:]
            self._facts.move_to_end(key, last=False)
        first = waiting[0]
        if isinstance(first, Unread):
            self._unread -= 1
            return first.read()
        if isinstance(first, Command):
            self._commands -= 1
        return first

    async def rung(self) -> None:
        """Wait until a signal is put, or someone rings."""
        self._bell.clear()
        await self._bell.wait()

    def ring(self) -> None:
        """Wake who waits, for another reason than a signal."""
        self._bell.set()

    def _put_object(self, signal: AboutObject) -> None:
        ref = signal.new.ref if isinstance(signal, ObjectChanged) else signal.ref
        waiting = self._facts.get(ref, ())
        if isinstance(signal, Unread) and self._unread - _unread(waiting) >= UNREAD:
            signal = signal.read()
        chain = merged(waiting, signal) if waiting else (signal,)
        self.merged += len(waiting) + 1 - len(chain)
        self._unread += _unread(chain) - _unread(waiting)
        self._facts[ref] = chain

    def _put_event(self, signal: EventSeen) -> None:
        key = (signal.ref, signal.reason, signal.message)
        if key in self._events:
            self.merged += 1
        elif len(self._events) >= self._limit:
            self._events.popitem(last=False)
            self.dropped += 1
        self._events[key] = signal

    def _put_other(self, signal: Signal) -> None:
        key = _key(signal)
        before = self._facts.pop(key, None)
        if before is not None:
            self.merged += 1
        elif isinstance(signal, Command):
            self._commands += 1
        self._facts[key] = (signal,)


def merged(waiting: tuple[Arrival, ...], after: AboutObject) -> tuple[Arrival, ...]:
    """Return one or two signals that leave the World as all of them would, the newest state last."""
    first, last = waiting[0], waiting[-1]
    if not isinstance(after, ObjectGone):
        if isinstance(last, ObjectGone) or not _same(last, after):
            return (first, after)
        if (
            isinstance(after, ObjectChanged)
            and after.initial
            and not (isinstance(last, ObjectChanged) and last.initial)
        ):
            after = replace(after, initial=False)
        return (*waiting[:-1], after)
    if not isinstance(last, ObjectGone) and not _same(last, after):
        return (after if len(waiting) == 1 or _same(first, after) else replace(after, uid=""), last)
    return (replace(after, uid=""),)  # whichever incarnation the World knows, there is none now


def _same(before: Arrival, after: AboutObject) -> bool:
    """Say whether both are about one incarnation, as far as they say which."""
    one, other = _uid(before), _uid(after)
    return not one or not other or one == other


def _uid(signal: Arrival) -> str:
    match signal:
        case ObjectChanged(new=state):
            return state.uid
        case ObjectGone(uid=uid) | Unread(uid=uid):
            return uid
        case _:
            return ""


def _unread(waiting: tuple[Arrival, ...]) -> int:
    return sum(isinstance(each, Unread) for each in waiting)


def _key(signal: Signal) -> object:  # noqa: PLR0911 - one row a kind of signal
    match signal:
        case ReleaseSeen():
            return ("release", signal.cluster, signal.namespace, signal.release, signal.revision)
        case Synced(resource=name) | Stale(resource=name):
            return ("resource", name)
        case CronFired(name=name):
            return ("cron", name)
        case Command(id=name):
            return ("command", name)
        case ActionFinished(request=request):
            return ("action", request.id)
        case Delivered(delivery=delivery):
            return ("delivered", delivery.key)
        case _:
            return (type(signal),)
