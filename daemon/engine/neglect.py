"""Detectors of what nobody moves: an expression that stays false, a request nobody takes, a forgotten suspension.

Nothing of it is red in Flux: the objects say Ready, or wait, and will do so for ever.
"""

from daemon.engine.draft import Draft
from daemon.engine.surroundings import controller_of, is_down
from daemon.engine.world import Known, World
from daemon.flux.culprit import dependency_of
from daemon.model.findings import Severity
from daemon.model.objects import Health

UNMET_FOR = 120.0
"""Seconds for which an expression may stay false though its object is Ready: four of Flux's 30 s polls."""
UNHANDLED_FOR = 120.0
"""Seconds for which a reconcile request may wait; a live controller takes it within a second, or after its run."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after which a suspension is called forgotten: a maintenance ends within a day."""
DOWN_FOR = 60.0
"""Seconds for which a controller may be without a pod: an update of Flux recreates each once."""


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
    idle = known.actual in (Health.CURRENT, Health.FAILED) and not state.suspended
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
    del world
    if known.suspended_at is None:
        return None
    ref = known.state.ref
    by = f" by {known.suspended_by}" if known.suspended_by else ""
    return Draft(
        "suspended-long",
        Severity.INFO,
        f"is suspended{by} for more than a day: it takes no change from Git",
        FORGOTTEN_AFTER,
        next_step=f"Resume it: flux resume {ref.kind.lower()} {ref.name} -n {ref.namespace}",
    )


def controller_down(world: World, known: Known) -> Draft | None:
    """Find one of Flux's controllers without a pod: everything that it moves stands still and stays green."""
    del world
    name, state = controller_of(known.state), known.state
    if not name or not is_down(state) or state.replicas is None:
        return None
    why = "is scaled to zero" if not state.replicas.desired else f"has none of {state.replicas.desired} pods ready"
    return Draft(
        "controller-down",
        Severity.CRITICAL,
        f"{name} {why}: nothing of its kinds is reconciled, whatever they say",
        DOWN_FOR,
        next_step=f"kubectl -n {state.ref.namespace} describe deployment {state.ref.name}",
    )
