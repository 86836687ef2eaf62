"""The cause graph: why an object is broken, and what it breaks in turn.

Three kinds of edges, one walk. *Depends on* and *made from* count while the object says that it waits; *contains*
counts when a parent's health check blames what it applied. A blocked object is never a root. Flux detects no cycles,
so the walk carries what it has seen and breaks a ring at the least ref.
"""

from collections.abc import Iterator
from datetime import datetime

from daemon.engine.controllers import moved_by, silent_controllers, stands_still
from daemon.engine.health import is_lagging
from daemon.engine.lineage import blamed_refs
from daemon.engine.release import managers_of, workloads_of
from daemon.engine.surroundings import alike, dead_nodes, needing, peers_of, providers, standing_on
from daemon.engine.world import Known, World, elapsed
from daemon.flux.culprit import dependency_of
from daemon.flux.kinds import IMAGE, SOURCE, kind_of
from daemon.model.findings import FindingState
from daemon.model.objects import Health
from daemon.model.refs import Fingerprint, ObjectRef

SELF_MADE = frozenset({"dependency-cycle", "dependency-missing", "waits-on-itself"})
"""Detectors whose object is its own root, whatever it also waits for: nobody else can undo what its spec asks for."""
LACKING = frozenset({"dependency-missing", "source-missing"})
"""Detectors of what an object names and nobody has: whoever lacked it first stands for all who do."""
UNLOOKED_FOR = 30.0
"""Seconds for which a new spec may wait for its controller before that means anything: alive, it takes one or two."""
BROKEN = frozenset({Health.FAILED, Health.BLOCKED})
FETCH_FAILURES = frozenset({"ChartPullError"})
"""Reasons by which a chart says that its repository did not deliver (flux.md 0.3, 10)."""
INPUT_FAILURES = frozenset({"IncludeUnavailable", "SourceFetchFailed"})
"""Reasons by which a source says that another one that it needs did not deliver (flux.md 2.4, 2.5)."""
READ_FAILURES = frozenset({"GitOperationFailed", "AuthenticationFailed"})
"""Reasons by which an image object says that it could not read the repository of its source (flux.md 5.1)."""
SPEC_FAILURES = frozenset({"InvalidChartReference", "ValuesFilesError", "MetadataPatchError"})
"""Reasons by which a generated chart says that what it was asked for is wrong: the asking release is at fault."""


def causes_of(world: World, ref: ObjectRef) -> tuple[ObjectRef, ...]:
    """Return the objects that explain why this one is broken, nearest first; empty for a root."""
    found = world.memo.causes.get(ref)
    if found is None:
        found = world.memo.causes[ref] = _causes_of(world, ref)
    return found


def _causes_of(world: World, ref: ObjectRef) -> tuple[ObjectRef, ...]:
    known = world.known(ref)
    if known is None or world.fires(ref, SELF_MADE) or asks_for_no_chart(world, known):
        return tuple(_first_to_lack(world, ref))
    if ref.kind == "Namespace":
        return tuple(_held_by(world, known))
    found: dict[ObjectRef, None] = dict.fromkeys(_first_to_lack(world, ref))
    if known.actual is Health.BLOCKED:
        found.update(dict.fromkeys(_waited_for(world, known)))
    if known.health is Health.FAILED or known.actual is Health.BLOCKED:
        found.update(dict.fromkeys(_made_from(world, known)))
    if stands_still(world, known):
        found.update(dict.fromkeys(silent_controllers(world, known.state.ref.group, known.state.labels)))
    if known.failed is not None and known.failed.reason == "ArtifactFailed" and "download" in known.failed.message:
        found.update(dict.fromkeys(silent_controllers(world, SOURCE)))  # it serves what the others download
    if known.health is Health.FAILED and known.actual is not Health.BLOCKED:
        found.update(dict.fromkeys(_checked(world, known)))
        found.pop(ref, None)
        found.update(dict.fromkeys(providers(world, known)))
        waited_for = blamed_refs(world, known) or tuple(sorted(workloads_of(world, known.state)))
        found.update(dict.fromkeys(dead_nodes(world, known, () if found else waited_for)))
        found.update(dict.fromkeys(() if found else alike(world, known)))
    found.pop(ref, None)
    return tuple(found)


def root_of(world: World, ref: ObjectRef) -> ObjectRef:
    """Return the root behind an object: of several, one that fails, the one that failed first, the least by name."""
    roots = roots_of(world, ref)
    return min(roots, key=lambda root: _seniority(world, root))


def roots_of(world: World, ref: ObjectRef) -> tuple[ObjectRef, ...]:
    """Return every root behind an object, sorted; the object itself when nothing explains it."""
    seen: set[ObjectRef] = {ref}
    roots: set[ObjectRef] = set()
    stack = [ref]
    while stack:
        current = stack.pop()
        causes = causes_of(world, current)
        if not causes:
            roots.add(current)
        for cause in causes:
            if cause not in seen:
                seen.add(cause)
                stack.append(cause)
    return tuple(sorted(roots)) or (min(each for each in seen if _explains_itself(world, each)),)


def _explains_itself(world: World, ref: ObjectRef) -> bool:
    """Say whether an object is in a ring of causes."""
    seen: set[ObjectRef] = set()
    stack = [ref]
    while stack:
        further = set(causes_of(world, stack.pop())) - seen
        seen |= further
        stack += sorted(further)
    return ref in seen


def downstream(world: World, root: ObjectRef) -> Iterator[tuple[ObjectRef, ObjectRef]]:
    """Yield (victim, its nearest cause) for everything broken that the root explains, breadth first."""
    seen = {root}
    level = [root]
    while level:
        following: list[ObjectRef] = []
        for cause in level:
            for victim in sorted(neighbours(world, cause) - seen):
                if cause in causes_of(world, victim):
                    seen.add(victim)
                    following.append(victim)
                    yield victim, cause
        level = following


def neighbours(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return everything that could be explained by this object: dependents, consumers, parents, generated charts."""
    near = set(world.dependents.get(ref, ())) | world.consumers.get(ref, set()) | world.parents.get(ref, set())
    for passed_on in world.consumers.get(ref, ()):
        near |= world.consumers.get(passed_on, set()) if passed_on.kind == "ExternalArtifact" else set()
    known = world.known(ref)
    if known is not None and known.state.ref.kind == "HelmRelease" and known.state.source is not None:
        near.add(known.state.source)
    for workload in workloads_of(world, known.state) if known is not None else ():
        near |= world.parents.get(workload, set())
    for thing in _lacks(world, ref):
        near |= world.dependents.get(thing, set()) | world.consumers.get(thing, set())
    if known is not None and known.health is Health.TERMINATING and ref.namespace:
        near.add(ObjectRef(ref.cluster, "", "Namespace", "", ref.namespace))
    return near | standing_on(world, ref) | peers_of(world, ref) | needing(world, ref) | moved_by(world, ref)


def cycle_through(world: World, ref: ObjectRef) -> tuple[ObjectRef, ...]:
    """Return a shortest ring of dependsOn through this object, from its least member on; empty for none."""
    paths: dict[ObjectRef, tuple[ObjectRef, ...]] = {ref: (ref,)}
    level = [ref]
    while level:
        following = []
        for current in level:
            known = world.known(current)
            for dependency in known.state.depends_on if known else ():
                if dependency.ref == ref:
                    return _from_least(paths[current])
                if dependency.ref not in paths:
                    paths[dependency.ref] = (*paths[current], dependency.ref)
                    following.append(dependency.ref)
        level = following
    return ()


def is_coming(world: World, ref: ObjectRef) -> bool:
    """Say whether an object is on its way, or there: nothing that failed, was left alone, or is known to be wrong."""
    known = world.known(ref)
    if known is None or known.health not in (Health.IN_PROGRESS, Health.BLOCKED, Health.CURRENT):
        return False
    left = is_lagging(known.state) and elapsed(known.moved_at, world.now) >= UNLOOKED_FOR
    return not (left or world.fires(ref) or asks_for_no_chart(world, known) or _is_down_unseen(world, ref))


def is_broken(world: World, ref: ObjectRef) -> bool:
    """Say whether an object is broken, or a repository of which charts say so before it looks itself."""
    return world.health(ref) in BROKEN or _is_down_unseen(world, ref)


def _is_down_unseen(world: World, ref: ObjectRef) -> bool:
    if ref.kind != "HelmRepository":
        return False
    if ref not in world.memo.down_unseen:
        world.memo.down_unseen[ref] = _siblings_fail_alike(world, ref)
    return world.memo.down_unseen[ref]


def asks_for_no_chart(world: World, known: Known) -> bool:
    """Say whether the chart that was made for a release is not there as it asks: nobody else is at fault.

    A chart that somebody wrote (chartRef) asks for itself.
    """
    chart = world.known(known.state.source) if known.state.source is not None else None
    if chart is None or chart.failed is None or chart.failed.reason not in SPEC_FAILURES:
        return False
    return _is_made_for(chart.state.ref, known.state.ref)


def is_reconciled(known: Known) -> bool:
    """Say whether an object is one of Flux's own, that says by itself how it is."""
    kind = kind_of(known.state.ref.group, known.state.ref.kind)
    return kind is not None and kind.flux and kind.conditions


def owners_of(world: World, ref: ObjectRef) -> tuple[ObjectRef, ...]:
    """Return the objects whose inventory holds this one, sorted."""
    return tuple(sorted(world.parents.get(ref, ())))


def _held_by(world: World, known: Known) -> Iterator[ObjectRef]:
    """Yield what keeps a namespace from ending: objects of Flux in it whose own deletion does not end."""
    if known.health is Health.TERMINATING:
        inside = (ref for ref in world.objects if ref.namespace == known.state.ref.name)
        yield from sorted(ref for ref in inside if world.health(ref) is Health.TERMINATING)


def _lacks(world: World, ref: ObjectRef) -> Iterator[ObjectRef]:
    """Yield the dependencies and sources that an object names and that do not exist, once that has been found."""
    for test in sorted(LACKING & world.tests.get(ref, set())):
        finding = world.findings[Fingerprint(test, ref)]
        yield from finding.related if finding.state is FindingState.FIRING else ()


def _first_to_lack(world: World, ref: ObjectRef) -> Iterator[ObjectRef]:
    """Yield who was the first to lack what this object lacks too: one thing that is gone is one cause."""
    for thing in _lacks(world, ref):
        if thing not in world.memo.first_to_lack:
            peers = world.dependents.get(thing, set()) | world.consumers.get(thing, set())
            lacking = [peer for peer in peers if thing in _lacks(world, peer)]
            first = min(lacking, key=lambda peer: (_lacking_since(world, peer), peer), default=ref)
            world.memo.first_to_lack[thing] = first
        if world.memo.first_to_lack[thing] != ref:
            yield world.memo.first_to_lack[thing]


def _lacking_since(world: World, ref: ObjectRef) -> datetime:
    return min(finding.since for finding in world.firing(ref) if finding.test in LACKING)


def _waited_for(world: World, known: Known) -> Iterator[ObjectRef]:
    """Dependencies that are not well; also one that is waited for and suspended: it will not come along."""
    ready = known.state.ready
    named = dependency_of(ready.message) if ready is not None else None
    if ready is None or (named is None and ready.reason != "DependencyNotReady"):
        return  # it waits for its source, which is asked for when no dependency is in the way
    met = True
    for dependency in known.state.depends_on:
        other = world.known(dependency.ref)
        met = met and named is not None and named[0] != dependency.ref.place
        if other is None or (met and dependency.ready_expr):
            continue  # Flux asks in order and names the first that is not met: an expression before it is true
        explains = other.health in BROKEN or other.actual is Health.TERMINATING or stands_still(world, other)
        if explains or (other.state.suspended and named is not None and named[0] == dependency.ref.place):
            yield dependency.ref


def _made_from(world: World, known: Known) -> Iterator[ObjectRef]:
    state = known.state
    yield from _put_together_of(world, known)
    if state.source is None:
        return
    waits = known.actual is Health.BLOCKED and state.ready is not None and state.ready.reason == "DependencyNotReady"
    if waits and state.ref.kind == "Kustomization":
        return  # Flux looks for the artifact first: it is there, old as it may be (flux.md 2.4)
    if state.ref.kind == "HelmChart":
        yield from _behind_chart(world, known)
        return
    source = world.known(state.source)
    if source is not None and _reads_the_same(known) and source.health is Health.FAILED:
        yield state.source
    if known.actual is not Health.BLOCKED or source is None:
        return
    if source.health in BROKEN or (source.state.suspended and not source.state.artifact_revision):
        yield state.source
    elif not source.state.artifact_revision:
        yield from (ref for ref in source.state.inputs if is_broken(world, ref))


def _put_together_of(world: World, known: Known) -> Iterator[ObjectRef]:
    """What a source is made of and could not get: by its own words, or because that has nothing to give."""
    asked = known.failed is not None and known.failed.reason in INPUT_FAILURES
    for ref in known.state.inputs:
        other = world.known(ref)
        if other is not None and is_broken(world, ref) and (asked or not other.state.artifact_revision):
            yield ref


def _behind_chart(world: World, known: Known) -> Iterator[ObjectRef]:
    """A chart fails because its repository does not deliver, or because its release asks for what is not there."""
    repository = known.state.source
    assert repository is not None  # noqa: S101 - asked by the caller
    failed = known.failed
    other = world.known(repository)
    if failed is not None and failed.reason in SPEC_FAILURES:
        asking = sorted(world.consumers.get(known.state.ref, ()))
        yield from (ref for ref in asking if _is_made_for(known.state.ref, ref))
    elif other is not None and is_broken(world, repository):
        yield repository


def _is_made_for(chart: ObjectRef, release: ObjectRef) -> bool:
    """Say whether helm-controller made a chart for a release: it is called NAMESPACE-NAME (flux.md 7.7)."""
    return (chart.kind, release.kind, chart.name) == ("HelmChart", "HelmRelease", f"{release.namespace}-{release.name}")


def _reads_the_same(known: Known) -> bool:
    """Say whether an image object failed to read what its source reads too: an automation clones by itself."""
    return known.state.ref.group == IMAGE and known.failed is not None and known.failed.reason in READ_FAILURES


def _siblings_fail_alike(world: World, repository: ObjectRef) -> bool:
    """Say whether two or more charts cannot be fetched from it: it is down, though its own next look is not due yet."""
    failing = 0
    for ref in world.consumers.get(repository, ()):
        known = world.known(ref)
        if known is not None and known.failed is not None and known.failed.reason in FETCH_FAILURES:
            failing += 1
    return failing > 1


def _checked(world: World, known: Known) -> Iterator[ObjectRef]:
    """What a failed health check blames: Flux objects by name, and releases by the workloads they own."""
    named = blamed_refs(world, known)
    if not named:
        return
    for ref in named:
        other = world.known(ref)
        if other is not None and (is_reconciled(other) or other.health is Health.TERMINATING):
            if other.health is not Health.CURRENT or is_broken(world, ref):
                yield ref
            continue
        yield from _release_behind(world, ref)


def _release_behind(world: World, workload: ObjectRef) -> Iterator[ObjectRef]:
    """The broken HelmReleases of the workload's Helm release, whether or not the checking object applied them."""
    yield from (ref for ref in managers_of(world, workload) if world.health(ref) in BROKEN)


def _seniority(world: World, ref: ObjectRef) -> tuple[bool, float, ObjectRef]:
    """Order roots: what fails comes before what is only on its way, then the oldest failure, then the least name."""
    known = world.known(ref)
    since = known.since if known is not None else None
    return (is_coming(world, ref), since.timestamp() if since else 0.0, ref)


def _from_least(ring: tuple[ObjectRef, ...]) -> tuple[ObjectRef, ...]:
    start = ring.index(min(ring))
    return ring[start:] + ring[:start]
