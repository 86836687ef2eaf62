"""From what an object says of itself to where it stands, and the latch that a retry cannot open.

The order of the questions is kstatus's, with Flux's own meaning of Ready=False put in (Flux reports a blocked
Kustomization and a failed one alike). Only Current at the present generation ends a failure: every retry of Flux
passes through Unknown and Progressing.
"""

from collections.abc import Callable
from datetime import datetime

from daemon.engine.world import Known
from daemon.flux.kinds import kind_of
from daemon.flux.reasons import ReasonClass, classify
from daemon.model.objects import Condition, Health, ObjectState, Writer

CLASS_HEALTH = {
    ReasonClass.FAILED: Health.FAILED,
    ReasonClass.CONFIG: Health.FAILED,
    ReasonClass.BLOCKED: Health.BLOCKED,
    ReasonClass.SYMPTOM: Health.BLOCKED,
    ReasonClass.PROGRESSING: Health.IN_PROGRESS,
    ReasonClass.TRANSIENT: Health.IN_PROGRESS,
    ReasonClass.OK: Health.CURRENT,
}


def health_of(state: ObjectState) -> Health:
    """Return where the object stands by its own words alone, without memory."""
    if state.deleted_at is not None:
        return Health.TERMINATING
    special = BY_KIND.get(state.ref.kind)
    if special is not None and state.ref.group in ("", "apps", "batch"):
        return special(state)
    return _flux_health(state)


def latch(known: Known, state: ObjectState, now: datetime) -> Known:
    """Take the new state in: move `actual` at once, `health` only when it may."""
    actual = health_of(state)
    before = known.health
    if state.artifact_revision and known.state.artifact_revision not in ("", state.artifact_revision):
        known.revised_at = now
    if not state.suspended:
        known.suspended_at, known.suspended_by = None, ""
    elif known.suspended_at is None:
        writer = last_writer(state)
        began = writer.at if writer is not None and known.heard_at is None else None  # before we came: who wrote last
        known.suspended_at, known.suspended_by = began or now, writer.manager if writer is not None else ""
    asked = (known.state.generation, known.state.requested_at) != (state.generation, state.requested_at)
    if known.worked_at is None or not asked or known.state.conditions != state.conditions:
        known.worked_at = now
    known.state, known.actual, known.heard_at = state, actual, now
    if actual is Health.FAILED:
        known.failing_since = known.failing_since or now
        known.failed = _failing_condition(state) or known.failed
        released = state.condition("Released")
        known.refused = released.message if released is not None and released.status == "False" else known.refused
    elif actual is Health.CURRENT:
        known.failing_since, known.failed, known.refused = None, None, ""
        known.last_good = state.applied_revision or state.artifact_revision or known.last_good
    known.health = _with_memory(known, actual)
    if known.health is not before or known.moved_at is None:
        known.moved_at = now
    return known


def is_lagging(state: ObjectState) -> bool:
    """Say whether nobody has looked at the newest spec: the status is of an older generation and nothing runs."""
    if state.observed_generation is None or state.observed_generation >= state.generation:
        return False
    return not is_reconciling(state)


def is_reconciling(state: ObjectState) -> bool:
    """Say whether a controller is at work on the object by its own words."""
    reconciling = state.condition("Reconciling")
    if reconciling is not None and reconciling.status == "True":
        return True
    return state.ready is not None and state.ready.status == "Unknown"


def _with_memory(known: Known, actual: Health) -> Health:
    """A failure that began stays one through progress and suspension; waiting and deletion show as themselves."""
    latched = known.failing_since is not None
    if latched and actual in (Health.IN_PROGRESS, Health.UNKNOWN, Health.SUSPENDED):
        return Health.FAILED
    return actual


def last_writer(state: ObjectState) -> Writer | None:
    """Return who last wrote the object beside its status; its time is the API server's, in whole seconds."""
    writers = [writer for writer in state.writers if not writer.subresource and writer.at is not None]
    return max(writers, key=lambda writer: (str(writer.at), writer.manager), default=None)


def _failing_condition(state: ObjectState) -> Condition | None:
    """Return the condition that tells most: Ready when it is False, else what is stalled or failed."""
    ready = state.ready
    if ready is not None and (ready.status == "False" or state.ref.kind == "Node"):
        return ready  # a node that is not heard of says Unknown
    for kind in ("Stalled", "Failed"):
        condition = state.condition(kind)
        if condition is not None and condition.status == "True":
            return condition
    progressing = state.condition("Progressing")
    return progressing if progressing is not None and progressing.status == "False" else None


def _flux_health(state: ObjectState) -> Health:
    if state.suspended:
        return Health.SUSPENDED
    ready, stalled = state.ready, state.condition("Stalled")
    if stalled is not None and stalled.status == "True":
        return Health.FAILED
    if ready is None:
        return _without_conditions(state)
    if ready.status == "True":
        behind = state.observed_generation is not None and state.observed_generation < state.generation
        stale = ready.observed_generation is not None and ready.observed_generation < state.generation
        return Health.IN_PROGRESS if behind or stale else Health.CURRENT
    if ready.status == "False":
        return CLASS_HEALTH[classify(state.ref.kind, ready.status, ready.reason, ready.message)]
    return Health.IN_PROGRESS


def _without_conditions(state: ObjectState) -> Health:
    """Alert, Provider and ExternalArtifact have no conditions; others have none before their first run."""
    kind = kind_of(state.ref.group, state.ref.kind)
    if kind is None or state.observed_generation is None:
        return Health.CURRENT
    return Health.IN_PROGRESS if state.observed_generation < state.generation else Health.CURRENT


def _deployment(state: ObjectState) -> Health:
    progressing = state.condition("Progressing")
    if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
        return Health.FAILED
    return _workload(state)


def _workload(state: ObjectState) -> Health:
    return Health.CURRENT if state.replicas is not None and state.replicas.complete else Health.IN_PROGRESS


def _job(state: ObjectState) -> Health:
    failed = state.condition("Failed")
    if failed is not None and failed.status == "True":
        return Health.FAILED
    done = state.condition("Complete")
    return Health.CURRENT if done is not None and done.status == "True" else Health.IN_PROGRESS


def _pod(state: ObjectState) -> Health:
    return Health.CURRENT if state.pod is None else Health.IN_PROGRESS


def _node(state: ObjectState) -> Health:
    ready = state.ready
    return Health.CURRENT if ready is not None and ready.status == "True" else Health.FAILED


def _plain(_state: ObjectState) -> Health:
    return Health.CURRENT


BY_KIND: dict[str, Callable[[ObjectState], Health]] = {
    "Deployment": _deployment,
    "DaemonSet": _workload,
    "StatefulSet": _workload,
    "ReplicaSet": _workload,
    "Job": _job,
    "Pod": _pod,
    "Node": _node,
    "Namespace": _plain,
    "Secret": _plain,
    "ConfigMap": _plain,
}
