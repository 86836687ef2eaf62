"""From what a failed check blames down to its pods, and from a pod up to whoever applied its workload.

The way down and up goes over owner references, inventories, health checks and Helm releases. Limit: pods are read on
demand, so what is below a workload is known only while it is looked at.
"""

from daemon.engine.release import managers_of
from daemon.engine.world import Known, World
from daemon.flux.culprit import Blamed, blamed
from daemon.flux.kinds import group_for_kind
from daemon.model.objects import Condition, Health
from daemon.model.refs import ObjectRef

GENERATIONS = 2
"""From a pod over its replica set to its workload."""


def blamed_refs(world: World, known: Known) -> tuple[ObjectRef, ...]:
    """Return the objects that the failing health check names, as refs of this cluster."""
    return named_by(world, known.failed if known.health is Health.FAILED else known.state.ready)


def named_by(world: World, condition: Condition | None) -> tuple[ObjectRef, ...]:
    """Return the objects that a condition's message lists as not ready, as refs of this cluster."""
    return tuple(_as_ref(world, item) for item in blamed(condition.message)) if condition is not None else ()


def below(world: World, workload: ObjectRef) -> tuple[ObjectRef, ...]:
    """Return the replica sets and pods known under a workload, sorted."""
    children = world.owned.get(workload, set())
    return tuple(sorted(children.union(*(world.owned.get(child, ()) for child in children))))


def pods_of(world: World, workload: ObjectRef) -> tuple[Known, ...]:
    """Return the pods known under a workload, by name."""
    found = (world.known(ref) for ref in below(world, workload) if ref.kind == "Pod")
    return tuple(pod for pod in found if pod is not None)


def above(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return whoever applies, checks or releases a workload, or the one that a pod or a replica set belongs to."""
    owners = {ref}
    for _ in range(GENERATIONS):
        known = (world.known(owner) for owner in owners)
        owners = owners.union(*(each.state.owners for each in known if each is not None))
    near: set[ObjectRef] = set()
    for owner in owners:
        near |= world.parents.get(owner, set()) | set(managers_of(world, owner))
    return near


def _as_ref(world: World, item: Blamed) -> ObjectRef:
    return ObjectRef(world.limits.cluster, group_for_kind(item.kind), item.kind, item.namespace, item.name)
