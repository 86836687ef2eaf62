"""Causes that no Flux field names: the node below the pods, what many objects need alike, who brings a missing kind.

A node that died explains the checks that wait for its pods. One admission webhook or one host that does not answer
fails many objects with the same words, and they have no other link (flux.md 0.3, 27): the one that failed first stands
for all. A kind that is not served is brought by whoever has its definition in an inventory.
"""

from collections.abc import Iterator

from daemon.engine.health import is_lagging
from daemon.engine.release import managers_of
from daemon.engine.world import Known, World
from daemon.flux.culprit import GROUP
from daemon.flux.kinds import HELM, KUSTOMIZE, NOTIFICATION, SOURCE
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import ObjectRef

LISTED_TOGETHER = 30.0
"""Seconds by which a cause may be seen after what it broke: the first lists come in any order."""
PART_OF = "app.kubernetes.io/part-of"
COMPONENT = "app.kubernetes.io/component"
CONTROLLERS = {
    KUSTOMIZE: "kustomize-controller",
    HELM: "helm-controller",
    SOURCE: "source-controller",
    NOTIFICATION: "notification-controller",
}
"""API group to the controller that moves its objects."""
DEFINITION = "CustomResourceDefinition"


def dead_nodes(world: World, known: Known, blamed: tuple[ObjectRef, ...]) -> Iterator[ObjectRef]:
    """Yield the failed nodes under pods of the unfinished workloads that a failed check blames."""
    for workload in blamed:
        other = world.known(workload)
        if other is None or other.state.replicas is None or other.state.replicas.complete:
            continue
        for pod in _pods(world, workload):
            node = world.objects[pod].state.node
            below = world.known(node) if node is not None else None
            if node is not None and below is not None and below.health is Health.FAILED and _before(below, known):
                yield node


def standing_on(world: World, node: ObjectRef) -> set[ObjectRef]:
    """Return what may fail because of a node: whoever applies, checks or releases the workloads of its pods."""
    near: set[ObjectRef] = set()
    for pod in world.hosted.get(node, ()):
        known = world.known(pod)
        owners = set(known.state.owners) if known is not None else set()
        owners |= {above for owner in owners for above in _owners(world, owner)}
        for owner in owners:
            near |= world.parents.get(owner, set()) | set(managers_of(world, owner))
    return near


def alike(world: World, known: Known) -> Iterator[ObjectRef]:
    """Yield the object that failed first of all those that the same webhook or host fails; nothing for that one."""
    peers = world.sharing.get(known.shared, ()) if known.shared else ()
    failing = [world.objects[ref] for ref in peers if world.objects[ref].health is Health.FAILED]
    if len(failing) > 1:
        first = min(failing, key=lambda each: (str(each.failing_since), each.state.ref))
        if first is not known:
            yield first.state.ref


def peers_of(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return the objects that the same webhook or host fails."""
    known = world.known(ref)
    return set(world.sharing.get(known.shared, ())) if known is not None and known.shared else set()


def providers(world: World, known: Known) -> Iterator[ObjectRef]:
    """Yield the broken appliers whose inventory has a definition of the group whose kind is missing."""
    if not known.shared.startswith(GROUP):
        return
    for ref in sorted(world.definers.get(known.shared.removeprefix(GROUP), ())):
        health = world.health(ref)
        if ref != known.state.ref and health in (Health.FAILED, Health.BLOCKED, Health.SUSPENDED, Health.TERMINATING):
            yield ref


def needing(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return what fails for want of a kind whose group this object defines."""
    near: set[ObjectRef] = set()
    for shared, lacking in world.sharing.items():
        if shared.startswith(GROUP) and ref in world.definers.get(shared.removeprefix(GROUP), ()):
            near |= lacking
    return near


def controller_of(state: ObjectState) -> str:
    """Return which of Flux's controllers a Deployment runs, by the labels of Flux's own manifests; empty for none."""
    if state.ref.kind != "Deployment" or state.labels.get(PART_OF) != "flux":
        return ""
    return state.labels.get(COMPONENT, "")


def is_down(state: ObjectState) -> bool:
    """Say whether a workload has no pod that is ready, wanted or not."""
    return state.replicas is not None and not state.replicas.ready


def silent_controllers(world: World, state: ObjectState) -> Iterator[ObjectRef]:
    """Yield the Deployments of the controller of an object's kind that have no pod."""
    for ref in sorted(world.controllers.get(CONTROLLERS.get(state.ref.group, ""), ())):
        if is_down(world.objects[ref].state):
            yield ref


def moved_by(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return the objects that wait to be looked at by the controller that this Deployment runs."""
    known = world.known(ref)
    name = controller_of(known.state) if known is not None else ""
    if not name:
        return set()
    groups = {group for group, controller in CONTROLLERS.items() if controller == name}
    return {each for each, other in world.objects.items() if each.group in groups and is_lagging(other.state)}


def group_of_definition(ref: ObjectRef) -> str:
    """Return the API group that a CustomResourceDefinition brings (its name is PLURAL.GROUP); empty for others."""
    return ref.name.partition(".")[2] if ref.kind == DEFINITION else ""


def _pods(world: World, workload: ObjectRef) -> set[ObjectRef]:
    children = world.owned.get(workload, set())
    below = children.union(*(world.owned.get(child, ()) for child in children))
    return {ref for ref in below if ref.kind == "Pod" and ref in world.objects}


def _owners(world: World, ref: ObjectRef) -> tuple[ObjectRef, ...]:
    known = world.known(ref)
    return known.state.owners if known is not None else ()


def _before(cause: Known, effect: Known) -> bool:
    began, broke = cause.failing_since, effect.failing_since
    return began is not None and broke is not None and (began - broke).total_seconds() <= LISTED_TOGETHER
