"""Taking facts in: objects and their edges, events, Helm storage, which kinds are heard.

Limit: it records and marks what became dirty; what that means is decided elsewhere.
"""

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import TypeVar

from daemon.engine.controllers import controller_of, moved_by
from daemon.engine.health import latch
from daemon.engine.lineage import above, below, blamed_refs
from daemon.engine.neglect import look_out
from daemon.engine.release import claimed_by, claims_of, managed_by, workloads_of
from daemon.engine.surroundings import brought_by, common_fault, first_alike, needing, standing_on
from daemon.engine.world import EVENTS_KEPT, Known, World
from daemon.flux.kinds import SOURCE
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import ObjectRef
from daemon.model.signals import EventSeen, ObjectChanged, ObjectGone, ReleaseSeen, Stale, Synced

KeyT = TypeVar("KeyT", bound=Hashable)
JUST_AFTER = 0.001
"""Seconds behind an age at which what asks for more than it is true."""
OBJECTS_WITH_EVENTS = 5000
"""Objects whose events are remembered: 5,000 entries are 1.5 MB (performance.md 3)."""


def object_changed(world: World, signal: ObjectChanged) -> None:
    """Take an object's new state in, unless it is older than what is known, or nothing but its version differs."""
    new = signal.new
    known = world.known(new.ref)
    if known is not None and known.state.uid != new.uid:
        _forget(world, new.ref)
        known = None
    if known is not None and _is_older(known.state, new):
        world.counts["states_older"] += 1
        return
    before = known.state if known else None
    health_before = known.health if known else None
    if known is None:
        known = Known(new)
        world.objects[new.ref] = known
    _relink(world, before, new)
    if before is not None and world.rules.remembers(new.ref.kind):
        known.before = before.text
    failing_since = known.failing_since
    latch(known, new, world.now)
    if known.failing_since is not None and failing_since is None:
        for age in world.rules.ages.get(new.ref.kind, ()):
            world.after(age + JUST_AFTER, new.ref)
    _share(world, known)
    if new.ref.kind == "Pod":
        _retell(world, new.ref)
    world.mark(new.ref)
    turned = known.health is not health_before and not (
        _is_calm(health_before) and _is_calm(known.health) and _only_made_from(new)
    )
    if before is None or turned or _edges(before) != _edges(new) or _moved(before, new):
        _spread(world, new.ref)
    elif before.artifact_revision != new.artifact_revision:
        world.mark(*sorted(world.upstreams.get(new.upstream, ())))


def object_gone(world: World, signal: ObjectGone) -> None:
    """Forget an object, unless it has been created again meanwhile."""
    known = world.known(signal.ref)
    if known is None or (signal.uid and known.state.uid and signal.uid != known.state.uid):
        return
    _spread(world, signal.ref)
    _forget(world, signal.ref)
    world.mark(signal.ref)


def event_seen(world: World, signal: EventSeen) -> None:
    """Remember an event about an object; the repeat of one replaces it."""
    events = world.events.get(signal.ref)
    if events is None:
        if len(world.events) >= OBJECTS_WITH_EVENTS:
            world.events.pop(next(iter(world.events)))
            world.counts["events_dropped"] += 1
        events = world.events[signal.ref] = deque(maxlen=EVENTS_KEPT)
    told, kept = 0, signal
    for index, known in enumerate(events):
        if (known.reason, known.message) == (signal.reason, signal.message):
            told = known.count if known.uid == signal.uid else 0
            if known.uid and not signal.uid:  # a webhook repeats what the API server has counted
                kept = replace(signal, uid=known.uid, count=known.count)
            del events[index]
            break
    events.append(kept)
    if signal.warning:
        world.mark(*sorted(above(world, signal.ref)))
    if signal.ref in world.objects:
        world.mark(signal.ref)
        if world.awake and signal.uid:
            world.arrived[signal.ref] = world.arrived.get(signal.ref, 0) + max(0, signal.count - told)


def release_seen(world: World, signal: ReleaseSeen) -> None:
    """Remember one revision of a Helm release in storage, and let the HelmReleases that manage it look again."""
    key = (signal.namespace, signal.release)
    kept = world.releases.setdefault(key, {})
    if signal.gone:
        kept.pop(signal.revision, None)
    else:
        kept[signal.revision] = signal
    if not kept:
        del world.releases[key]
    for ref, known in world.objects.items():
        helm = known.state.helm
        if helm is not None and (helm.storage_namespace, helm.release) == key:
            world.mark(ref)


def synced(world: World, signal: Synced) -> None:
    """Note that a resource is heard in full; the core wakes when all that were expected are."""
    if world.awake and signal.resource not in world.synced:
        world.mark(*world.objects)  # what is missing of this kind can be told from now on
    world.synced.add(signal.resource)
    world.stale.pop(signal.resource, None)
    world.absent.discard(signal.resource)
    _maybe_wake(world)


def stale(world: World, signal: Stale) -> None:
    """Note that a resource is not heard, or does not exist in this cluster."""
    if signal.absent:
        world.absent.add(signal.resource)
        world.stale.pop(signal.resource, None)
    else:
        world.stale[signal.resource] = signal.reason
    world.synced.discard(signal.resource)
    _maybe_wake(world)


def forget_pods(world: World, workload: ObjectRef) -> None:
    """Forget what was read on demand below a workload: nobody tells when it goes."""
    if world.inspected.pop(workload, None) is not None:
        for ref in below(world, workload):
            _forget(world, ref)


def is_heard(world: World, resource: str) -> bool:
    """Say whether a resource is in sync now."""
    return resource in world.synced


def _maybe_wake(world: World) -> None:
    answered = world.synced | world.absent | set(world.stale)
    if not world.awake and world.limits.expected <= answered and world.synced:
        world.awake = True
        world.mark(*world.objects)
        look_out(world)


def _is_older(known: ObjectState, new: ObjectState) -> bool:
    """Say whether `new` is a state from before `known` (a lagging API server): generations and versions only grow."""
    if known.resource_version == new.resource_version:
        return True
    if new.generation < known.generation:
        return True
    old, late = known.resource_version, new.resource_version
    return old.isdecimal() and late.isdecimal() and int(late) < int(old)


def _moved(before: ObjectState, new: ObjectState) -> bool:
    """Say whether something changed that neighbours reason from, though health did not.

    What a source fetched, and how a Ready object words it, is none of it: a thousand consumers would look for nothing.
    """
    ready = (before.ready, new.ready)
    well = all(each is not None and each.status == "True" for each in ready)
    return (
        before.suspended != new.suspended
        or before.replicas != new.replicas
        or before.pod != new.pod
        or before.generation != new.generation
        or before.observed_generation != new.observed_generation
        or (not well and ready[0] != ready[1] and not _only_made_from(new))
    )


def _only_made_from(state: ObjectState) -> bool:
    """Say whether an object is a source: others reason from whether it is broken, and from nothing else it says."""
    return state.ref.group == SOURCE and state.ref.kind != "HelmChart"


def _is_calm(health: Health | None) -> bool:
    return health in (Health.CURRENT, Health.IN_PROGRESS, Health.UNKNOWN)


def _edges(state: ObjectState) -> tuple[object, ...]:
    return (
        state.depends_on,
        state.source,
        state.inputs,
        state.contains,
        state.health_checks,
        state.owners,
        claimed_by(state),
        managed_by(state),
        state.node,
        controller_of(state),
        state.upstream,
    )


def _spread(world: World, ref: ObjectRef) -> None:
    """Everything that reasons from this object must look again: victims, causes, owners, its incident."""
    near: set[ObjectRef] = set()
    for index in (world.dependents, world.consumers, world.parents):
        near |= index.get(ref, set())
    known = world.objects[ref]
    state = known.state
    near.update(blamed_refs(world, known))
    near.update(state.owners)
    near.update(dependency.ref for dependency in state.depends_on)
    if state.source is not None:
        near.add(state.source)
    for workload in workloads_of(world, state):
        near |= world.parents.get(workload, set())
    for thing in state.contains:
        holders = world.parents.get(thing, ())
        if len(holders) > 1:
            near |= set(holders)
    release = managed_by(state)
    near |= world.managers.get(release, set()) if release else set()
    near |= standing_on(world, ref) | _first_of(world, ref) | moved_by(world, ref) | needing(world, ref)
    near |= world.upstreams.get(state.upstream, set())
    world.mark(*sorted(near))


def _share(world: World, known: Known) -> None:
    """Bring the index of shared faults in line with what an object's failure names now."""
    named = common_fault(world, known)
    if named != known.shared:
        _link(world.sharing, (known.shared,) if known.shared else (), known.state.ref, add=False)
        _link(world.sharing, (named,) if named else (), known.state.ref, add=True)
        known.shared = named


def _retell(world: World, pod: ObjectRef) -> None:
    """Let whoever applied a pod's workload hear of its trouble: it may be the cause, and others' cause too."""
    for ref in sorted(above(world, pod)):
        _share(world, world.objects[ref])
        world.mark(ref, *_first_of(world, ref))


def _first_of(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return who stands for all that fail of the same as an object: its incident is theirs."""
    known = world.known(ref)
    first = first_alike(world, known) if known is not None and known.shared else None
    return {first} if first is not None else set()


def _forget(world: World, ref: ObjectRef) -> None:
    gone = world.objects.pop(ref)
    world.forget()
    _link(world.sharing, (gone.shared,) if gone.shared else (), ref, add=False)
    _relink(world, gone.state, None)
    world.events.pop(ref, None)
    world.progress.pop(ref, None)


def _relink(world: World, before: ObjectState | None, after: ObjectState | None) -> None:
    """Bring the reverse edges in line: what depends on, is made of, holds and owns what."""
    if before is not None and after is not None and _edges(before) == _edges(after):
        return
    for state, add in ((before, False), (after, True)):
        if state is None:
            continue
        _link(world.dependents, (dependency.ref for dependency in state.depends_on), state.ref, add=add)
        _link(world.consumers, (*((state.source,) if state.source else ()), *state.inputs), state.ref, add=add)
        _hold(world.parents, (*state.contains, *state.health_checks), state.ref, add=add)
        for owner in state.owners:
            _link(world.owned, (owner,), state.ref, add=add)
        _link(world.hosted, (state.node,) if state.node else (), state.ref, add=add)
        controller = controller_of(state)
        _link(world.controllers, (controller,) if controller else (), state.ref, add=add)
        _link(world.bringers, {brought_by(ref) for ref in state.contains} - {""}, state.ref, add=add)
        _link(world.upstreams, (state.upstream,) if state.upstream else (), state.ref, add=add)
        claimed = claimed_by(state)
        _link(world.released, (claimed,) if claimed else (), state.ref, add=add)
        _link(world.managers, claims_of(state), state.ref, add=add)


def _link(index: dict[KeyT, set[ObjectRef]], keys: Iterable[KeyT], ref: ObjectRef, *, add: bool) -> None:
    for key in keys:
        if add:
            index[key].add(ref)
            continue
        index[key].discard(ref)
        if not index[key]:
            del index[key]


def _hold(
    index: dict[ObjectRef, frozenset[ObjectRef]], keys: Iterable[ObjectRef], ref: ObjectRef, *, add: bool
) -> None:
    """Link what mostly has one holder: all that one object holds shares its set, 3 kB less for a Kustomization."""
    alone = frozenset((ref,))
    for key in keys:
        held = index.get(key)
        if add:
            index[key] = held | alone if held else alone
        elif held is not None and held - alone:
            index[key] = held - alone
        else:
            index.pop(key, None)
