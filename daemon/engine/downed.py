"""The workloads that are down with an incident: it is not over before they are well, or Git let them go.

Limit: only workloads that a failed health check names or that a failed release owns, while they are down.
"""

from daemon.engine.cause import workload_line
from daemon.engine.graph import BROKEN
from daemon.engine.lineage import below, blamed_refs
from daemon.engine.membership import join
from daemon.engine.release import workloads_of
from daemon.engine.world import Case, World, elapsed
from daemon.model.effects import Inspect
from daemon.model.incidents import Role
from daemon.model.refs import ObjectRef

TWO_OWNERS = "two-owners"
INSPECT_EVERY = 30.0
"""Seconds between two looks at the pods of one workload: a list of at most 50 pods, while it is down."""


def hold_workloads(world: World, case: Case) -> None:
    """Remember the workloads that are down with this incident: it is not over before they are well."""
    for member in case.incident.members:
        known = world.known(member.ref)
        if known is None or known.health not in BROKEN:
            continue
        for ref in sorted({*blamed_refs(world, known), *workloads_of(world, known.state)}):
            other = world.known(ref)
            if other is None or other.state.replicas is None or other.state.replicas.complete:
                continue
            if ref not in case.workloads:
                case.workloads.add(ref)
                join(world, case, ref, member.ref, Role.RELATED)
    for ref in sorted(case.workloads):
        world.watchers[ref].add(case.incident.id)  # also what it took over, or has held since before it was reopened
        _inspect(world, case, ref)


def workload_trouble(world: World, case: Case) -> str:
    """Return what is still down with an incident, in words; empty when nothing is."""
    for ref in sorted(case.workloads):
        known = world.known(ref)
        if known is None:
            if _destroyed(case) or _is_wanted(world, ref):
                return f"{ref.kind} {ref.place} failed with this incident and is gone"
            continue
        if known.state.replicas is not None and not known.state.replicas.complete:
            return workload_line(known.state)
    return ""


def _inspect(world: World, case: Case, ref: ObjectRef) -> None:
    """Ask for the pods of a workload that is down, now and then: their trouble is the cause that people need."""
    known = world.known(ref)
    if known is None or known.state.replicas is None or known.state.replicas.complete or not known.state.selector:
        return
    last = world.inspected.get(ref)
    if last is not None and elapsed(last, world.now) < INSPECT_EVERY:
        return
    world.inspected[ref] = world.now
    world.outgoing.append(Inspect(ref, tuple(sorted(known.state.selector.items())), below(world, ref)))
    world.after(INSPECT_EVERY, case.incident.id)


def _is_wanted(world: World, ref: ObjectRef) -> bool:
    """Say whether an inventory still has an object that is gone: Git did not let it go."""
    return any(ref in world.objects[parent].state.contains for parent in world.parents.get(ref, ()))


def _destroyed(case: Case) -> bool:
    """Say whether a workload that is gone was not Flux's to remove: its release had an owner besides Flux."""
    return TWO_OWNERS in case.incident.rules
