"""Detectors of what nobody moves: a request nobody takes, a run that never ends, a controller that is silent.

Nothing of it is red in Flux: the objects say Ready, or wait, and will do so for ever. Silence counts only while the
cluster says something else: when nothing at all is heard, it is we who hear nothing.
"""

from datetime import timedelta

from daemon.engine.controllers import (
    CONTROLLER_SILENT,
    CONTROLLERS,
    SHARD,
    UNAPPLIED,
    UNFINISHED,
    controller_of,
    is_down,
    shard_of,
)
from daemon.engine.draft import Draft
from daemon.engine.health import is_lagging
from daemon.engine.rolling import QUEUES_FOR, busy_until
from daemon.engine.world import Known, World, elapsed
from daemon.flux.commands import WORDS, resuming
from daemon.flux.culprit import dependency_of
from daemon.flux.kinds import HELM, KUSTOMIZE, kind_of, resource_of
from daemon.model.findings import Severity
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import Fingerprint

UNMET_FOR = 120.0
"""Seconds for which an expression may stay false though its object is Ready: four of Flux's 30 s polls."""
UNHANDLED_FOR = 120.0
"""Seconds for which a reconcile request may wait; a live controller takes it within a second, or after its run."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after which a suspension is called forgotten: a maintenance ends within a day."""
DOWN_FOR = 60.0
"""Seconds for which a controller may be without a pod: an update of Flux recreates each once."""
ACTION = 300.0
"""Seconds that a HelmRelease's action, or a Kustomization's health check, has by default (flux.md 7.3)."""
QUEUED = 120.0
"""Seconds that an object may wait for a free worker beyond its interval."""
ACTIONS_A_RUN = {HELM: 3}
"""Actions that one run may take one after the other, each with its own time-out: upgrade, test, roll back."""
FETCH = 240.0
"""Seconds that a run takes beside its actions: ten tries to fetch from a dead source-controller took 215 (recorded)."""
UNAPPLIED_FOR = 120.0
"""Seconds for which a new revision may wait for its appliers: a busy controller rolls 250 a minute (flux.md 11.1)."""
TALKATIVE = (KUSTOMIZE, HELM)
"""Groups whose objects are written to at every run; a source that finds nothing new writes nothing (recordings)."""
SHOWN = 5
"""Objects that a finding about many names."""
CONTENDED = "release-contended"
"""A detector that falls silent by the clock alone."""
LOOK_OUT = "look out for silence"
"""What the step is woken about now and then; no incident has an id that is a sentence."""
LOOK_OUT_EVERY = 60.0
POLLS = 2
"""Intervals after which whoever polls must have come by."""


def ready_expr_unmet(world: World, known: Known) -> Draft | None:
    """Find an object that waits for an expression over a dependency which is well, and stays false."""
    state = known.state
    named = dependency_of(state.ready.message) if state.ready is not None and known.actual is Health.BLOCKED else None
    if named is None or "readyExpr" not in named[1]:
        return None
    for dependency in state.depends_on:
        if dependency.ref.place == named[0] and world.health(dependency.ref) is Health.CURRENT:
            return Draft(
                "ready-expr-unmet",
                Severity.WARNING,
                f"waits for {dependency.ref}, which is Ready, but its readyExpr stays false: {dependency.ready_expr}",
                UNMET_FOR,
                next_step=f"Compare the readyExpr in spec.dependsOn of {state.ref} with what {dependency.ref} says.",
                related=(dependency.ref,),
            )
    return None


def request_unhandled(world: World, known: Known) -> Draft | None:
    """Find an object whose reconcile request nobody takes, though nothing runs on it."""
    del world
    state = known.state
    idle = known.actual in (Health.CURRENT, Health.FAILED) and state.ready is not None and not state.suspended
    if not state.requested_at or state.requested_at == state.handled_at or not idle:
        return None
    return Draft(
        "request-unhandled",
        Severity.WARNING,
        f"the reconcile request of {state.requested_at} was never handled (last handled: {state.handled_at or 'none'})",
        UNHANDLED_FOR,
        next_step="Check that its controller runs, and that the object belongs to its shard: flux check; flux logs.",
    )


def suspended_long(world: World, known: Known) -> Draft | None:
    """Find a suspension that somebody seems to have forgotten, and say whose it was."""
    if known.suspended_at is None:
        return None
    ref = known.state.ref
    seen = world.findings.get(Fingerprint("suspended-long", ref))
    before = elapsed(known.suspended_at, seen.since if seen is not None else world.now)
    by = f" by {known.suspended_by}" if known.suspended_by else ""
    return Draft(
        "suspended-long",
        Severity.INFO,
        f"is suspended{by} since {known.suspended_at:%Y-%m-%d %H:%M} UTC: it takes no change from Git",
        max(0.0, FORGOTTEN_AFTER - before),
        next_step=f"Resume it: {resuming(ref)}",
    )


def controller_down(world: World, known: Known) -> Draft | None:
    """Find one of Flux's controllers without a pod: everything that it moves stands still and stays green."""
    name, state = controller_of(known.state), known.state
    if not name or not is_down(state) or state.replicas is None:
        return None
    why = "is scaled to zero" if not state.replicas.desired else f"has none of {state.replicas.desired} pods ready"
    shard = shard_of(world, state.ref)
    if shard and not any(other.state.labels.get(SHARD) == shard for other in world.objects.values()):
        return None  # it has nothing to move
    kinds = f"its shard {shard}" if shard else "its kinds"
    return Draft(
        "controller-down",
        Severity.CRITICAL,
        f"{name} {why}: nothing of {kinds} is reconciled, whatever they say",
        DOWN_FOR,
        next_step=f"kubectl -n {state.ref.namespace} describe deployment {state.ref.name}",
    )


def controller_silent(world: World, known: Known) -> Draft | None:
    """Find a controller whose pod runs and which does nothing: all its objects are long past their interval.

    A dead man's switch. Only objects that are Ready and not suspended count: what waits or stalls is not written to.
    """
    name, state = controller_of(known.state), known.state
    groups = [group for group in TALKATIVE if CONTROLLERS[group] == name]
    if not groups or is_down(state) or world.heard_at is None:
        return None
    quiet = []
    for other in world.objects.values():
        mine = other.state.ref.group in groups and other.state.interval is not None and not other.state.suspended
        moved = other.actual is Health.CURRENT or is_lagging(other.state)
        if not (mine and moved) or other.worked_at is None or _is_unheard(world, other):
            continue
        patience = POLLS * (other.state.interval or 0.0) + (other.state.timeout or ACTION) + QUEUED
        if (world.heard_at - other.worked_at).total_seconds() <= patience:
            return None
        quiet.append(other)
    if not quiet:
        return None
    last = max(other.worked_at for other in quiet if other.worked_at is not None)
    return Draft(
        CONTROLLER_SILENT,
        Severity.CRITICAL,
        f"{name} runs and does nothing: none of its {len(quiet)} objects was reconciled since {last:%H:%M:%S} UTC, "
        f"each is past twice its interval, though all say Ready",
        0.0,
        next_step=f"kubectl -n {state.ref.namespace} logs deployment/{state.ref.name}; then restart it: "
        f"kubectl -n {state.ref.namespace} rollout restart deployment {state.ref.name}",
        related=tuple(sorted(other.state.ref for other in quiet)[:SHOWN]),
    )


def run_unfinished(world: World, known: Known) -> Draft | None:
    """Find an object whose run began and never ended: its controller died or hangs in the middle of it."""
    state = known.state
    kind = kind_of(state.ref.group, state.ref.kind)
    if known.health is not Health.IN_PROGRESS or kind is None or not kind.flux or state.ready is None:
        return None
    if state.ready.status == "True":
        return None  # Ready of an older spec: not_observed tells it
    longest = _longest_run(state)
    if not _lasts_too_long(world, known):
        return None
    working = state.condition("Reconciling")
    said = (working.message if working is not None else "") or state.ready.message
    return Draft(
        UNFINISHED,
        Severity.WARNING,
        f"a run began and has not ended for more than {longest:g} s, longer than its time-outs allow: {said}",
        0.0,
        next_step=f"Check that {CONTROLLERS.get(state.ref.group, 'its controller')} is alive: flux check",
    )


def revision_unapplied(world: World, known: Known) -> Draft | None:
    """Find a Ready object that has not taken up what its source fetched: nobody even began to."""
    state = known.state
    source = world.known(state.source) if state.source is not None else None
    if source is None or state.ref.group not in TALKATIVE or not _is_passed_over(world, known, source):
        return None
    return Draft(
        UNAPPLIED,
        Severity.CRITICAL,
        f"still has {_revision(state)}, though {source.state.ref} has had {source.state.artifact_revision} since "
        f"{source.revised_at:%H:%M:%S} UTC: {CONTROLLERS[state.ref.group]} has not begun, and Ready still says True",
        0.0,
        next_step="Check that the controller's pod runs: kubectl -n flux-system get pods.",
        related=(source.state.ref,),
    )


def source_behind(world: World, known: Known) -> Draft | None:
    """Find a source that says Ready and does not advance, though another one fetched a newer revision of the same."""
    state = known.state
    if not state.upstream or state.suspended or known.actual is not Health.CURRENT:
        return None
    own = known.revised_at
    for ref in sorted(world.upstreams.get(state.upstream, ())):
        twin = world.objects[ref]
        newer = twin.revised_at is not None and (own is None or twin.revised_at > own)
        if newer and twin.state.artifact_revision != state.artifact_revision:
            return Draft(
                "source-behind",
                Severity.WARNING,
                f"does not advance: it still has {state.artifact_revision or 'nothing'}, while {ref} has had "
                f"{twin.state.artifact_revision} of the same address since {twin.revised_at:%H:%M:%S} UTC",
                POLLS * (state.interval or ACTION) + QUEUED,
                next_step=f"flux reconcile {WORDS[state.ref.kind]} "
                f"{state.ref.name} -n {state.ref.namespace}, and look at source-controller's log",
                related=(ref,),
            )
    return None


def look_out(world: World) -> None:
    """Have every controller and every run that lasts too long looked at now and then: silence sends no signal."""
    for refs in world.controllers.values():
        world.mark(*sorted(refs))
    world.mark(*sorted(each.ref for each in world.findings if each.test == CONTENDED))
    for ref, known in world.objects.items():
        source = world.known(known.state.source) if known.state.source is not None else None
        late = known.health is Health.IN_PROGRESS and _lasts_too_long(world, known)
        late = late or (known.failing_since is not None and ref.kind in world.rules.ages)
        if late or (source is not None and _is_passed_over(world, known, source)):
            world.mark(ref)
    world.at(world.now + timedelta(seconds=LOOK_OUT_EVERY), LOOK_OUT)


def _is_passed_over(world: World, known: Known, source: Known) -> bool:
    """Say whether a Ready object was not touched since its source took another revision, long enough ago."""
    if known.actual is not Health.CURRENT or known.state.suspended or source.revised_at is None:
        return False
    if known.worked_at is None or known.worked_at > source.revised_at or world.heard_at is None:
        return False
    same = _revision(known.state).partition("+")[0] == source.state.artifact_revision.partition("+")[0]
    waits = elapsed(source.revised_at, world.heard_at)
    if same or waits < UNAPPLIED_FOR:
        return False
    return waits >= QUEUES_FOR or busy_until(world, known.state.ref.group) is None


def _revision(state: ObjectState) -> str:
    return state.applied_revision or state.attempted_revision


def _longest_run(state: ObjectState) -> float:
    """Return the seconds after which a run must have ended, one way or the other."""
    return ACTIONS_A_RUN.get(state.ref.group, 1) * (state.timeout or ACTION) + FETCH


def _lasts_too_long(world: World, known: Known) -> bool:
    return world.heard_at is not None and elapsed(known.moved_at, world.heard_at) >= _longest_run(known.state)


def _is_unheard(world: World, known: Known) -> bool:
    kind = kind_of(known.state.ref.group, known.state.ref.kind)
    return kind is not None and resource_of(kind) in world.stale
