"""How long something may still get well by itself: a push that rolls on, a queue before busy workers.

A failed check says nothing of a child whose own time has not passed, and a controller has a few workers only: what it
has not looked at may stand in a queue. Limit: bounded by the time-outs of those that are at work, never by a guess.
"""

from datetime import datetime, timedelta

from daemon.engine.graph import is_coming, is_reconciled, roots_of
from daemon.engine.health import is_lagging, is_reconciling
from daemon.engine.lineage import blamed_refs
from daemon.engine.surroundings import MISSING, bringers_of, comes_with_a_push, kin_of, providers, servers_of
from daemon.engine.world import Known, World
from daemon.model.objects import Health
from daemon.model.refs import Fingerprint, ObjectRef

DEFAULT_TIMEOUT = 300.0
"""Seconds that a HelmRelease's action has by default, and most Kustomizations by their interval (flux.md 7)."""
POLL = 30.0
"""Seconds after which Flux asks a dependency again, and most specs let a failed run be tried again."""
LEVEL = 60.0
"""Seconds that one level of a push may take: a poll of 30 s, and a run (flux.md 7.1)."""
RUN = 12.0
"""Seconds that a run takes beside its health check: to fetch, to build, to apply (recordings: 0.3 to 6 s)."""
FRESH = timedelta(seconds=60)
JUST_CAME = timedelta(seconds=DEFAULT_TIMEOUT)
NEEDS_FOR = 15.0
"""Seconds after the first failure of a new object in which a Secret that it names may arrive: others make it."""
QUEUES_FOR = 600.0
"""Seconds that something may stand in a busy controller's queue: it rolls 250 objects a minute (flux.md 11.1)."""


def moving_until(world: World, known: Known) -> datetime | None:
    """Return until when all that a failed check names may still get ready by itself; None when something cannot.

    A parent's time-out says nothing of a child whose own has not passed, nor of one that polls its dependency again
    (every 30 s, flux.md 7.1): a push that rolls through many levels outlasts it, and succeeds at the next try.
    """
    if known.health is not Health.FAILED or known.actual is Health.BLOCKED:
        return None
    leaving = any(world.health(ref) is Health.TERMINATING for ref in providers(world, known))
    bringers = (*bringers_of(world, known), *(ref for ref in servers_of(world, known) if _is_new(world, known, ref)))
    coming = [] if leaving else [ref for ref in bringers if is_coming(world, ref)]
    if coming:
        return max(filter(None, (_brought_until(world, known, ref) for ref in coming)), default=None)
    if known.shared.startswith(MISSING):
        return _needed_until(known)
    if not leaving and comes_with_a_push(world, known) and known.failing_since is not None:
        return known.failing_since + timedelta(seconds=min(known.state.retry_interval or POLL, POLL) + RUN)
    ends: list[datetime | None] = []
    for ref in blamed_refs(world, known):
        other = world.known(ref)
        if other is None or not is_reconciled(other):
            return None
        roots = () if other.health is Health.CURRENT else roots_of(world, ref)
        ends += [_own_deadline(world, root) for root in roots] if roots else [_next_try(known, other)]
    return max((end for end in ends if end is not None), default=None) if None not in ends else None


def _is_new(world: World, known: Known, server: ObjectRef) -> bool:
    """Say whether who serves a webhook came just before it was called: one that was there before is down."""
    created, began = world.objects[server].state.created_at, known.failing_since
    return created is not None and began is not None and began - created < JUST_CAME


def patience(world: World, known: Known, test: str, until: datetime | None) -> float:
    """Return the seconds from when a finding began to a moment until which it waits, within reason; 0 for none."""
    finding = world.findings.get(Fingerprint(test, known.state.ref))
    began = finding.since if finding is not None else world.now
    return min((until - began).total_seconds(), QUEUES_FOR) if until is not None else 0.0


def rolling_until(world: World, known: Known) -> datetime | None:
    """Return until when what came with an object is still being rolled out, by its own words; None when all stands.

    What the object itself is a part of, or holds up, waits for it: that is no push that rolls on.
    """
    ends: list[datetime | None] = []
    around = _above(world, known.state.ref)
    for ref in kin_of(world, known) - around:
        other = world.known(ref)
        if other is None or other.state.suspended:
            continue
        needed = [world.known(dependency.ref) for dependency in other.state.depends_on]
        free = all(each is not None and each.health is Health.CURRENT for each in needed)
        if other.health is Health.IN_PROGRESS or (other.health is Health.BLOCKED and needed and free):
            ends.append(_own_deadline(world, ref))
    return max((end for end in ends if end is not None), default=None)


def busy_until(world: World, group: str) -> datetime | None:
    """Return until when the controller of an API group may be busy with runs that are under way; None when none is.

    A run that outlasted its time-outs is none: its controller died in the middle of it.
    """
    if group not in world.memo.busy:
        mine = (known for ref, known in world.objects.items() if ref.group == group)
        ends = (_run_ends(known) for known in mine if is_reconciling(known.state))
        world.memo.busy[group] = max(ends, default=None)
    until = world.memo.busy[group]
    return until if until is not None and until > world.now else None


def _run_ends(known: Known) -> datetime:
    """Return when a run that is under way must have ended: its controller writes down every step of it."""
    began = known.worked_at
    assert began is not None  # noqa: S101 - of every object that was seen
    return began + timedelta(seconds=(known.state.timeout or DEFAULT_TIMEOUT) + RUN)


def _above(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return everything that applies or checks an object, over however many others, and the object itself."""
    seen, stack = {ref}, [ref]
    while stack:
        further = world.parents.get(stack.pop(), frozenset()) - seen
        seen |= further
        stack += sorted(further)
    return seen


def _own_deadline(world: World, ref: ObjectRef) -> datetime | None:
    """Return when an object that is on its way has had its time; None for one that is not on its way."""
    known = world.known(ref)
    if known is None or is_lagging(known.state):
        return None
    began = known.moved_at or world.now
    if known.health is Health.IN_PROGRESS:
        return began + timedelta(seconds=(known.state.timeout or DEFAULT_TIMEOUT) + RUN)
    if known.health is Health.FAILED:
        named = [world.known(each) for each in blamed_refs(world, known)]
        tries = [_next_try(known, other) for other in named]
        return max((each for each in tries if each is not None), default=None) if None not in tries else None
    if known.health is not Health.BLOCKED:
        return None
    ends = [began, known.heard_at or began]
    for other in filter(None, (world.known(dependency.ref) for dependency in known.state.depends_on)):
        at_work = other.health is Health.IN_PROGRESS
        ends.append((_own_deadline(world, other.state.ref) if at_work else other.moved_at) or began)
    return max(ends) + timedelta(seconds=LEVEL)


def _brought_until(world: World, known: Known, bringer: ObjectRef) -> datetime | None:
    """Return until when what an object lacks may still come: its bringer's own time, and then the next try."""
    other, again = world.objects[bringer], known.state.retry_interval or 0.0
    began, came = known.failing_since or world.now, other.moved_at or world.now
    if other.health is not Health.CURRENT:
        until = _own_deadline(world, bringer)
        return until + timedelta(seconds=again) if until is not None else None
    if came < began:
        return None  # it was well all the time, and the thing is missing all the same
    longest = began + timedelta(seconds=(other.state.timeout or DEFAULT_TIMEOUT) + 2 * again)
    return min(came + timedelta(seconds=again), longest) + timedelta(seconds=RUN)


def _needed_until(known: Known) -> datetime | None:
    """Return until when a Secret that a new object names may still come, or the run that found it is under way."""
    created, began = known.state.created_at, known.failing_since
    if created is None or began is None or began - created >= FRESH:
        return None
    return _run_ends(known) if known.actual is Health.IN_PROGRESS else began + timedelta(seconds=NEEDS_FOR)


def _next_try(known: Known, named: Known | None) -> datetime | None:
    """Return until when a check may pass at its next try, now that what it named is well; None where it is not."""
    if named is None or named.health is not Health.CURRENT or not is_reconciled(named) or named.moved_at is None:
        return None
    return named.moved_at + timedelta(seconds=(known.state.retry_interval or 0.0) + LEVEL)
