"""Detectors: tests that need more than one object, or that no Flux condition shows.

Each is one function from (world, known) to a Draft or None, and a row of DETECTORS. A rule file may switch any off.
"""

from collections.abc import Callable
from dataclasses import replace

from daemon.engine.controllers import NOT_OBSERVED, SHARD
from daemon.engine.draft import Draft
from daemon.engine.graph import BROKEN, causes_of, cycle_through
from daemon.engine.health import is_lagging
from daemon.engine.neglect import (
    controller_down,
    controller_silent,
    ready_expr_unmet,
    request_unhandled,
    revision_unapplied,
    run_unfinished,
    source_behind,
    suspended_long,
)
from daemon.engine.ownership import (
    applied_twice,
    check_without_owner,
    drift_fight,
    kind_missing,
    need_missing,
    release_contended,
    released_twice,
    two_owners,
)
from daemon.engine.pods import crash_loop, image_pull, unschedulable
from daemon.engine.rolling import busy_until, patience, rolling_until
from daemon.engine.world import Known, World
from daemon.flux.commands import resuming
from daemon.flux.culprit import culprit_of, dependency_of
from daemon.flux.kinds import kind_of, resource_of
from daemon.model.findings import Severity
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import ObjectRef

UNOBSERVED_FOR = 90.0
"""Seconds a newer generation may wait on a Ready object. A live controller takes it within a second or two, but may
queue behind others; flux.md 0.3 (13) asks for "longer than a minute or two"."""
DELETING_FOR = 90.0
"""Seconds a deletion may take before it is called stuck: uninstall and prune normally end within seconds."""
LEAVES_LATE = 30.0
"""Seconds beyond its own time-out in which a deletion may still end, while nothing was said against it."""
NAMESPACE_DELETING_FOR = 300.0
"""Seconds a namespace may take: its pods may stop as slowly as they are allowed to, volumes after them."""
SUSPENDED_BLOCKS_FOR = 60.0
"""Seconds dependents may wait for a suspended dependency: two of Flux's 30 s polls, so that a push may roll by."""
MISSING_FOR = 20.0
"""Seconds a named object may be missing: one apply that creates both in either order."""
STATIC = ("ExternalArtifact", "HelmRepository")
"""Kinds that nobody reconciles, or not always: a HelmRepository of type oci stays as it was made."""
WAITING_ON_ITSELF_FOR = 10.0


def detect(world: World, known: Known) -> list[Draft]:
    """Return what every detector that is switched on has to say of one object."""
    off = world.rules.detectors_off
    drafts = (detector(world, known) for name, detector in DETECTORS.items() if name not in off)
    return [_as_asked(world, draft) for draft in drafts if draft is not None]


def _as_asked(world: World, draft: Draft) -> Draft:
    """Return what a detector says, as loud and as late as rule files want it."""
    severity = world.rules.detector_severity.get(draft.test, draft.severity)
    hold = max(world.rules.detector_hold.get(draft.test, draft.hold), draft.patience)
    if (severity, hold) == (draft.severity, draft.hold):
        return draft
    return replace(draft, severity=severity, hold=hold)


def dependency_cycle(world: World, known: Known) -> Draft | None:
    """Find a ring of dependsOn: its members wait for each other for ever, and Flux never says so."""
    if not known.state.depends_on:
        return None
    start = known.state.ref
    reached = _reached(world, start)
    if start not in reached or any(ref < start and _depends(world, ref, start) for ref in reached):
        return None  # of rings that touch, the least member tells
    ring = cycle_through(world, start)
    path = " → ".join(ref.place for ref in (*ring, ring[0]))
    return Draft(
        "dependency-cycle",
        Severity.CRITICAL,
        f"dependency cycle: {path}; each waits for the next: once one is not Ready, none can be",
        0.0,
        next_step="Remove one dependsOn entry of the ring in Git.",
        related=ring[1:],
    )


def dependency_missing(world: World, known: Known) -> Draft | None:
    """Find a dependsOn entry that names an object which does not exist."""
    missing = [dep.ref for dep in known.state.depends_on if not _exists(world, dep.ref)]
    if not missing or known.state.suspended:
        return None
    names = ", ".join(f"{ref.kind} {ref.place}" for ref in missing)
    return Draft(
        "dependency-missing",
        Severity.CRITICAL,
        f"depends on {names}, which does not exist",
        MISSING_FOR,
        next_step=f"Create {names}, or correct spec.dependsOn of {known.state.ref} in Git.",
        related=tuple(missing),
        patience=patience(world, known, "dependency-missing", rolling_until(world, known)),
    )


def source_missing(world: World, known: Known) -> Draft | None:
    """Find a source reference that names an object which does not exist; Flux emits no event for it."""
    source = known.state.source
    if source is None or known.actual is not Health.BLOCKED or _exists(world, source):
        return None
    if source.kind == "HelmChart" and source.name == f"{known.state.ref.namespace}-{known.state.ref.name}":
        return None  # helm-controller makes it itself
    return Draft(
        "source-missing",
        Severity.CRITICAL,
        f"its source {source.kind} {source.place} does not exist (not found)",
        MISSING_FOR,
        next_step=f"Create {source}, or correct spec.sourceRef of {known.state.ref} in Git.",
        related=(source,),
        patience=patience(world, known, "source-missing", rolling_until(world, known)),
    )


def waits_on_itself(world: World, known: Known) -> Draft | None:
    """Find a Kustomization that waits for something which in turn waits for it: a health check no time-out can pass."""
    if known.state.ref.kind != "Kustomization" or not (known.state.wait or known.state.health_checks):
        return None
    ref = known.state.ref
    around = _reached(world, ref, checks=True)
    child = _caught(world, known) if ref in around else None
    if child is None or any(each < ref and _is_caught(world, each, ref) for each in around):
        return None  # of a ring with several checks, the least tells
    return Draft(
        "waits-on-itself",
        Severity.CRITICAL,
        f"waits for {child.kind} {child.place}, which waits for it in turn: neither can become Ready first",
        WAITING_ON_ITSELF_FOR,
        next_step=f"Remove the dependsOn of {child}, or the wait or health check of {ref}, in Git.",
        related=(child,),
    )


def stuck_deletion(world: World, known: Known) -> Draft | None:
    """Find an object whose deletion does not end, whatever its events say (flux.md 0.3, 6)."""
    state = known.state
    kind = kind_of(state.ref.group, state.ref.kind)
    namespace = state.ref.kind == "Namespace"
    if state.deleted_at is None or kind is None or not (kind.flux or namespace):
        return None
    since = state.deleted_at
    events = (event for event in world.events.get(state.ref, ()) if (event.happened_at or event.at) >= since)
    told = [event.message for event in events if event.warning]
    told += [each.message for each in state.conditions if namespace and each.status == "True"]
    refused = told or (state.ready is not None and state.ready.reason == "UninstallFailed")
    why = f": {told[-1]}" if told else ""
    holders = ", ".join(state.finalizers)
    return Draft(
        "stuck-deletion",
        Severity.WARNING if namespace else Severity.CRITICAL,
        f"its deletion does not end (finalizer {holders}){why}" if holders else f"its deletion does not end{why}",
        NAMESPACE_DELETING_FOR if namespace else DELETING_FOR,
        next_step=f"Look at the events of {state.ref} and at what refuses the delete (admission policy, rights).",
        patience=0.0 if refused else (state.leaving or 0.0) + LEAVES_LATE,
    )


def not_observed(world: World, known: Known) -> Draft | None:
    """Find an object whose newest spec nobody has looked at: its controller is dead, hung or does not own it.

    What stands in the queue of a controller whose workers are all busy is not left alone.
    """
    state = known.state
    if state.suspended or state.deleted_at is not None:
        return None
    if is_lagging(state) and state.ready is not None and state.ready.status == "True":
        said = f"generation {state.generation} was never looked at (observed: {state.observed_generation}): "
        said += "its controller does nothing, though Ready still says True"
    elif _is_untouched(state):
        shard = state.labels.get(SHARD, "")
        said = "nobody has looked at it since it is there: its controller does nothing"
        said += f", or none runs for shard {shard}" if shard else ""
    else:
        return None
    return Draft(
        NOT_OBSERVED,
        Severity.CRITICAL,
        said,
        UNOBSERVED_FOR,
        next_step="Check that the controller's pod runs: kubectl -n flux-system get pods.",
        patience=patience(world, known, NOT_OBSERVED, busy_until(world, state.ref.group)),
    )


def suspended_blocks(world: World, known: Known) -> Draft | None:
    """Find a suspended object behind which others wait: it says Ready, and will never come along."""
    state = known.state
    if not state.suspended:
        return None
    waiting = sorted(ref for ref in world.dependents.get(state.ref, ()) if _waits_for(world, ref, state.ref))
    near = world.consumers.get(state.ref, set()) | world.parents.get(state.ref, frozenset())
    waiting += sorted(ref for ref in near if state.ref in causes_of(world, ref))
    if not waiting:
        return None
    names = ", ".join(ref.place for ref in waiting[:5])
    ready = state.ready
    failed = ready is not None and ready.status == "False"
    before = f"; it failed before: {culprit_of(ready.message)}" if ready is not None and failed else ""
    return Draft(
        "suspended-blocks",
        Severity.WARNING,
        f"is suspended and blocks {names}: they wait for what it will not apply{before}",
        SUSPENDED_BLOCKS_FOR,
        next_step=f"Resume it: {resuming(state.ref)}",
        related=tuple(waiting),
    )


def _is_untouched(state: ObjectState) -> bool:
    """Say whether no controller ever wrote to an object that one should reconcile (flux.md 5.1: some are static)."""
    kind = kind_of(state.ref.group, state.ref.kind)
    reconciled = kind is not None and kind.flux and kind.conditions and state.ref.kind not in STATIC
    return reconciled and not state.conditions and state.observed_generation in (None, -1)


def _exists(world: World, ref: ObjectRef) -> bool:
    """Say whether the object is there, or of a kind we cannot see (then it gets the benefit of the doubt)."""
    if ref in world.objects:
        return True
    kind = kind_of(ref.group, ref.kind)
    return kind is None or resource_of(kind) not in world.synced


def _waits_for(world: World, ref: ObjectRef, dependency: ObjectRef) -> bool:
    """Say whether an object's own words name this dependency as what it waits for."""
    known = world.known(ref)
    if known is None or known.health not in BROKEN or known.state.ready is None:
        return False
    named = dependency_of(known.state.ready.message)
    return named is not None and named[0] == dependency.place


def _depends(world: World, start: ObjectRef, wanted: ObjectRef) -> bool:
    """Say whether `start` reaches `wanted` over dependsOn."""
    return wanted in _reached(world, start)


def _watched(known: Known) -> tuple[ObjectRef, ...]:
    """Return what a Kustomization's health check waits for."""
    return known.state.contains if known.state.wait else known.state.health_checks


def _caught(world: World, known: Known) -> ObjectRef | None:
    """Return what an object's health check waits for and what waits for the object in turn, or None."""
    ref = known.state.ref
    return next((each for each in _watched(known) if each != ref and ref in _reached(world, each, checks=True)), None)


def _is_caught(world: World, ref: ObjectRef, other: ObjectRef) -> bool:
    """Say whether an object is in one ring of checks with another."""
    known = world.known(ref)
    return known is not None and _caught(world, known) is not None and other in _reached(world, ref, checks=True)


def _reached(world: World, start: ObjectRef, *, checks: bool = False) -> set[ObjectRef]:
    """Return everything that an object depends on, over however many others; itself only in a ring.

    With `checks` also what its health check waits for, over others than itself: Flux leaves the object itself out.
    """
    seen: set[ObjectRef] = set()
    stack = [start]
    while stack:
        known = world.known(stack.pop())
        if known is None:
            continue
        further = {dependency.ref for dependency in known.state.depends_on}
        if checks:
            further = (further | set(_watched(known))) - {known.state.ref}
        further -= seen
        seen |= further
        stack += sorted(further)
    return seen


DETECTORS: dict[str, Callable[[World, Known], Draft | None]] = {
    "dependency-cycle": dependency_cycle,
    "dependency-missing": dependency_missing,
    "source-missing": source_missing,
    "waits-on-itself": waits_on_itself,
    "stuck-deletion": stuck_deletion,
    "not-observed": not_observed,
    "suspended-blocks": suspended_blocks,
    "two-owners": two_owners,
    "release-contended": release_contended,
    "released-twice": released_twice,
    "applied-twice": applied_twice,
    "drift-fight": drift_fight,
    "check-without-owner": check_without_owner,
    "kind-missing": kind_missing,
    "need-missing": need_missing,
    "ready-expr-unmet": ready_expr_unmet,
    "request-unhandled": request_unhandled,
    "suspended-long": suspended_long,
    "controller-down": controller_down,
    "controller-silent": controller_silent,
    "run-unfinished": run_unfinished,
    "source-behind": source_behind,
    "revision-unapplied": revision_unapplied,
    "image-pull": image_pull,
    "crash-loop": crash_loop,
    "unschedulable": unschedulable,
}


def purpose_of(name: str) -> str:
    """Return in a sentence what a detector finds, without where that is known from."""
    first = (DETECTORS[name].__doc__ or name).strip().splitlines()[0]
    return first.partition(" (")[0].rstrip(".") + "."
