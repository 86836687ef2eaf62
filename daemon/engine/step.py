"""The only two ways into the core: `step` for everything that happens, `adopt` for a new RuleSet.

A step records the fact, marks what became dirty, then settles only the dirty and the due. Same signals, same effects.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from daemon.engine import commands, correlate, observe, pattern, remedy, restore, route, temporal
from daemon.engine.detect import detect
from daemon.engine.evidence import gather
from daemon.engine.graph import BROKEN, root_of
from daemon.engine.match import match
from daemon.engine.neglect import LOOK_OUT, look_out
from daemon.engine.standing import standing, verify
from daemon.engine.world import RESOLVED_KEPT, Case, World
from daemon.model.effects import Commit, Effect, ForgetBefore, SaveDelivery, SaveIncident
from daemon.model.findings import Severity
from daemon.model.notices import Delivery, Sent
from daemon.model.refs import Fingerprint, IncidentId, ObjectRef
from daemon.model.signals import (
    ActionFinished,
    Command,
    CronFired,
    Delivered,
    EventSeen,
    ObjectChanged,
    ObjectGone,
    ReleaseSeen,
    Restored,
    Signal,
    Stale,
    Synced,
    Tick,
)
from daemon.rules.ruleset import RuleSet

ROUNDS = 4
"""How often one step may settle what its own settling made dirty: a merge, its re-root, and their looks."""

RETENTION = "retention"
"""What the step is woken about once a day; no incident has an id that is a word."""
RETAIN_EVERY = 86400.0


def step(world: World, signal: Signal) -> tuple[Effect, ...]:
    """Take one signal in; return what must be done, the commit first."""
    world.now = max(world.now, signal.at) if world.counts["steps"] else signal.at
    world.counts["steps"] += 1
    if isinstance(signal, ObjectChanged | ObjectGone | EventSeen | ReleaseSeen):
        world.heard_at = world.now
    world.forget()
    _record(world, signal)
    return _settle(world)


def adopt(world: World, ruleset: RuleSet, now: datetime) -> tuple[Effect, ...]:
    """Put a new RuleSet in force: every object is looked at again, open incidents keep what they know."""
    world.rules = ruleset
    for book in (world.faults, world.overruns, world.faulted):
        book.clear()
    pattern.purge(world)
    world.now = max(world.now, now) if world.counts["steps"] else now
    world.counts["steps"] += 1
    world.mark(*world.objects)
    return _settle(world)


def next_deadline(world: World) -> datetime | None:
    """Return when the pump must send a Tick, or None when nothing waits."""
    return world.heap[0][0] if world.heap else None


def _record(world: World, signal: Signal) -> None:  # noqa: C901, PLR0912 - one row a kind of signal
    match signal:
        case ObjectChanged():
            observe.object_changed(world, signal)
        case ObjectGone():
            observe.object_gone(world, signal)
        case EventSeen():
            observe.event_seen(world, signal)
        case ReleaseSeen():
            observe.release_seen(world, signal)
        case Synced():
            observe.synced(world, signal)
        case Stale():
            observe.stale(world, signal)
        case Tick():
            pass
        case CronFired():
            verify(world, signal)
        case Command():
            commands.obey(world, signal)
        case ActionFinished():
            remedy.finished(world, signal)
        case Delivered():
            _delivered(world, signal.delivery)
        case Restored():
            restore.restore(world, signal)
            _retain(world)
        case _:
            assert_never(signal)


def _settle(world: World) -> tuple[Effect, ...]:
    world.forget()
    for what in list(world.due()):
        _wake(world, what)
    rounds = ROUNDS if world.awake else 0
    while rounds and (world.dirty or world.touched):
        rounds -= 1
        _evaluate(world)
        _look(world)
    return _flush(world)


def _wake(world: World, what: object) -> None:
    match what:
        case Fingerprint():
            temporal.wake(world, what)
        case ObjectRef():
            world.mark(what)
        case str() if what == RETENTION:
            _retain(world)
        case str() if what == LOOK_OUT:
            look_out(world)
        case str():
            if what in world.cases:
                world.touch(IncidentId(what))
        case _:
            raise TypeError(f"nothing is woken by a {type(what).__name__}")


def _evaluate(world: World) -> None:
    """Ask rules and detectors about everything dirty; give what begins to fire to its incident."""
    dirty, world.dirty = world.dirty, {}
    fired = []
    for ref in dirty:
        known = world.known(ref)
        drafts = [*match(world, known), *detect(world, known)] if known is not None else []
        drafts += standing(world, ref)
        world.arrived.pop(ref, None)
        if drafts or ref in world.tests:
            fired += temporal.update(world, ref, drafts)
        _touch_incidents(world, ref)
    for finding in sorted(fired, key=lambda each: (each.severity is Severity.INFO, each.since, each.ref, each.test)):
        correlate.assign(world, finding)
        world.mark(finding.ref)  # what only sharpens a finding can speak now


def _touch_incidents(world: World, ref: ObjectRef) -> None:
    """Let the incident that an object is in, is watched by, or is broken by, look again."""
    for incident in (world.membership.get(ref), *world.watchers.get(ref, ())):
        if incident is not None:
            world.touch(incident)
    if world.membership and ref not in world.membership and world.health(ref) in BROKEN:
        incident = world.membership.get(root_of(world, ref))
        if incident is not None:
            world.touch(incident)


def _look(world: World) -> None:
    touched, world.touched = world.touched, {}
    for incident in sorted(touched):
        case = world.cases.get(incident)
        if case is None:
            continue
        correlate.refresh(world, case)
        gather(world, case)
        remedy.consider(world, case)
        commands.lapse(world, case)
        route.repeat(world, case)
        _forget_old(world, case)


def _flush(world: World) -> tuple[Effect, ...]:
    """Turn what the step decided into effects: announcements, then one commit, then what it allows to leave."""
    active, world.active = world.active, {}
    for incident in sorted(active):
        case = world.cases.get(incident)
        if case is None:
            continue
        due = not case.announced and case.open and case.announce_at is not None and world.now >= case.announce_at
        if case.dirty or case.pending or due:
            route.announce(world, case)
        if case.dirty:
            _save(world, case)
    rows, world.rows = tuple(world.rows), []
    outgoing, world.outgoing = tuple(world.outgoing), []
    return (Commit(rows), *outgoing) if rows else outgoing


def _save(world: World, case: Case) -> None:
    news = case.incident.timeline[case.saved :]
    case.saved = len(case.incident.timeline)
    case.incident = replace(case.incident, updated_at=world.now)
    case.dirty = False
    world.save(SaveIncident(case.incident, news))


def _delivered(world: World, delivery: Delivery) -> None:
    """Note where a message stands; what failed stays with the lane, which tries again."""
    if delivery.outcome in (Sent.SENT, Sent.FAILED):
        world.outbox.pop(delivery.key, None)
        world.save(SaveDelivery(delivery))
    case = world.cases.get(IncidentId(delivery.incident))
    if case is not None and delivery.thread and case.incident.threads.get(delivery.target) != delivery.thread:
        threads = {**case.incident.threads, delivery.target: delivery.thread}
        case.incident = replace(case.incident, threads=threads)
        case.dirty = True
        world.active[case.incident.id] = None


def _forget_old(world: World, case: Case) -> None:
    """Drop the oldest resolved incidents from memory past their number; the ledger keeps them until retention."""
    if case.open:
        return
    ended = sorted(
        (each for each in world.cases.values() if not each.open),
        key=lambda each: (each.ended_at or world.now, each.incident.id),
    )
    for old in ended[: max(0, len(ended) - RESOLVED_KEPT)]:
        del world.cases[old.incident.id]


def _retain(world: World) -> None:
    """Have the ledger forget what is past retention: now, and once a day from here on."""
    world.save(ForgetBefore(world.now - timedelta(seconds=world.limits.retention)))
    world.after(RETAIN_EVERY, RETENTION)
