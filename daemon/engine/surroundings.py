"""Causes that no Flux field names: the node below the pods, what many objects need alike, who brings what is missing.

A node that died explains the checks that wait for its pods. One webhook, policy, account, missing ConfigMap or host
fails many objects with the same words, and they have no other link (flux.md 0.3, 27): the one that failed first stands
for all. A kind that is not served, or a namespace that is not there, is brought by whoever has it in an inventory.
"""

from collections.abc import Iterator
from datetime import timedelta

from daemon.engine.lineage import above, named_by, pods_of
from daemon.engine.world import Known, World
from daemon.flux.culprit import (
    API_SERVER,
    GROUP,
    HOST,
    NAMESPACE,
    UNANSWERED,
    is_refused,
    overloaded_server,
    service_of,
    shared_fault,
)
from daemon.flux.kinds import HELM, IMAGE, KUSTOMIZE, SOURCE
from daemon.model.objects import Health, ObjectState
from daemon.model.refs import ObjectRef

LISTED_TOGETHER = 30.0
"""Seconds by which a cause may be seen after what it broke: the first lists come in any order."""
DEFINITION = "CustomResourceDefinition"
MISSING = "missing "
"""How the fault of an object begins whose spec names a ConfigMap, Secret or account that is not there."""
CREDENTIALS, SERVER = "credentials of ", "server "
PASSING = (CREDENTIALS, SERVER, API_SERVER)
"""How faults begin that come and go: who fails of the same much later fails of something else."""
TOGETHER = timedelta(minutes=15)
"""Within which all notice that the same has gone: the intervals of most sources."""
ROLLS_FOR = 60.0
"""Seconds after a new revision in which what it brings may come in any order: one level of a push (flux.md 7.1)."""
STANDS_STILL = (Health.FAILED, Health.BLOCKED, Health.SUSPENDED, Health.TERMINATING)


def dead_nodes(world: World, known: Known, blamed: tuple[ObjectRef, ...]) -> Iterator[ObjectRef]:
    """Yield the failed nodes under pods of the unfinished workloads that a failed check blames."""
    for workload in blamed:
        other = world.known(workload)
        if other is None or other.state.replicas is None or other.state.replicas.complete:
            continue
        for pod in pods_of(world, workload):
            node = pod.state.node
            below = world.known(node) if node is not None else None
            if node is not None and below is not None and below.health is Health.FAILED and _before(below, known):
                yield node


def standing_on(world: World, node: ObjectRef) -> set[ObjectRef]:
    """Return what may fail because of a node: whoever applies, checks or releases the workloads of its pods."""
    return set().union(*(above(world, pod) for pod in world.hosted.get(node, ())))


def common_fault(world: World, known: Known) -> str:
    """Return what an object fails of and others may fail of too, by its own words or those of its pods; or nothing.

    A pod's trouble names the host now and then only (kubelet tells it by turns with its back-off): once heard it stays.
    """
    failed = known.failed
    if failed is None:
        return ""
    need = missing_need(known.state, failed.message)
    found = f"{MISSING}{need}" if need is not None else shared_fault(failed.message)
    if found:
        return found
    login = known.state.credentials if is_refused(failed.message) else ()
    server = overloaded_server(failed.message) if known.state.ref.group in (SOURCE, IMAGE) else ""
    if login or server:
        return f"{CREDENTIALS}{login[0]}" if login else SERVER + server
    pods = (pod for workload in named_by(world, failed) for pod in pods_of(world, workload))
    told = (shared_fault(pod.state.pod.message) for pod in pods if pod.state.pod and HOST.search(pod.state.pod.message))
    return next(told, "" if known.shared.startswith(PASSING) else known.shared)


def missing_need(state: ObjectState, message: str) -> ObjectRef | None:
    """Return the ConfigMap, Secret, account or source of the spec that a message says is not there; none is read."""
    low = message.lower()
    source = (state.source,) if state.source is not None else ()
    named_by_spec: tuple[ObjectRef, ...] = (*state.needs, *source)
    if not named_by_spec or "not found" not in low:
        return None
    for need in named_by_spec:
        named = (f'"{need.name}"', f"'{need.place}'", f"/{need.name}'")
        if need.kind.lower() in low and any(each in message for each in named):
            return need
    return None


def alike(world: World, known: Known) -> Iterator[ObjectRef]:
    """Yield the object that failed first of all those with the same fault from outside; nothing for that one."""
    first = first_alike(world, known) if known.shared else None
    if first is not None and first != known.state.ref:
        yield first


def first_alike(world: World, known: Known) -> ObjectRef | None:
    """Return the object that failed first of all that fail of the same as this one; None when none fails.

    Of what comes and goes, only those that failed not long before it fail of the same.
    """
    shared = known.shared
    if shared not in world.memo.alike:
        peers = (world.objects[ref] for ref in world.sharing.get(shared, ()))
        failing = {peer.state.ref: peer for peer in peers if peer.health is Health.FAILED}
        themselves = (peer for peer in failing.values() if peer.state.source not in failing)  # its source fails of it
        world.memo.alike[shared] = sorted((str(peer.failing_since), peer.state.ref) for peer in themselves)
    since = known.failing_since if shared.startswith(PASSING) else None
    earliest = str(since - TOGETHER) if since is not None else ""
    return next((ref for began, ref in world.memo.alike[shared] if began >= earliest), None)


def peers_of(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return the objects that the same thing from outside fails."""
    known = world.known(ref)
    return set(world.sharing.get(known.shared, ())) if known is not None and known.shared else set()


def providers(world: World, known: Known) -> Iterator[ObjectRef]:
    """Yield the broken appliers of a missing kind or namespace, or of a webhook; and the namespace that is ending."""
    for ref in (*bringers_of(world, known), *servers_of(world, known)):
        if world.health(ref) in STANDS_STILL:
            yield ref
    if known.shared.startswith(NAMESPACE):
        namespace = ObjectRef(known.state.ref.cluster, "", "Namespace", "", known.shared.removeprefix(NAMESPACE))
        if world.health(namespace) is Health.TERMINATING:
            yield namespace


def bringers_of(world: World, known: Known) -> tuple[ObjectRef, ...]:
    """Return who brings what an object lacks: whoever has it in an inventory, else whoever may have it and never began.

    An operator whose first build fails has no inventory yet: what came with it, by the same parent or source, and was
    never applied, is the likeliest to bring what is missing (a real commit with operator and objects does it so).
    """
    if not known.shared.startswith((GROUP, NAMESPACE)):
        return ()
    sure = sorted(ref for ref in world.bringers.get(known.shared, ()) if ref != known.state.ref)
    return tuple(sure) or _likely_bringers(world, known)


def _likely_bringers(world: World, known: Known) -> tuple[ObjectRef, ...]:
    """Return who came with an object that lacks something, and never began: the object itself did, or fails of it."""
    where = (known.shared, known.state.source, frozenset(world.parents.get(known.state.ref, ())))
    if where not in world.memo.likely:
        found = (ref for ref in kin_of(world, known) if _never_began(world, known.shared, ref))
        world.memo.likely[where] = tuple(sorted(found))
    return world.memo.likely[where]


def servers_of(world: World, known: Known) -> tuple[ObjectRef, ...]:
    """Return who brings the Service of a webhook that does not answer: who holds it, else who releases beside it."""
    service = service_of(known.failed.message) if known.failed and known.shared.startswith(UNANSWERED) else None
    if service is None:
        return ()
    where = (UNANSWERED, *service)
    if where not in world.memo.likely:
        namespace, name = service
        held = world.parents.get(ObjectRef(known.state.ref.cluster, "", "Service", namespace, name), ())
        beside = (refs for (into, _), refs in world.managers.items() if into == namespace)
        found = set(held) or set[ObjectRef]().union(*beside)
        world.memo.likely[where] = tuple(sorted(ref for ref in found if world.objects[ref].shared != known.shared))
    return world.memo.likely[where]


def comes_with_a_push(world: World, known: Known) -> bool:
    """Say whether a kind or namespace is missing right after a push that others roll out too, who may bring it."""
    source = world.known(known.state.source) if known.state.source is not None else None
    if not known.shared.startswith((GROUP, NAMESPACE)) or source is None or known.failing_since is None:
        return False
    if source.revised_at is None or (known.failing_since - source.revised_at).total_seconds() > ROLLS_FOR:
        return False
    return any(ref.group == KUSTOMIZE for ref in kin_of(world, known))


def kin_of(world: World, known: Known) -> set[ObjectRef]:
    """Return what came with an object: applied by the same parent, made from the same source, or applied by those."""
    near = set(world.consumers.get(known.state.source, ())) if known.state.source is not None else set()
    for parent in world.parents.get(known.state.ref, ()):
        near |= set(world.objects[parent].state.contains)
    held = (world.objects[ref].state.contains for ref in near if ref in world.objects)
    near |= {ref for contained in held for ref in contained if ref.group in (KUSTOMIZE, HELM)}
    return near - {known.state.ref}


def _never_began(world: World, shared: str, ref: ObjectRef) -> bool:
    other = world.known(ref)
    if other is None or other.state.ref.group not in (KUSTOMIZE, HELM) or other.shared == shared:
        return False
    state = other.state
    return not (state.applied_revision or state.contains or (state.helm is not None and state.helm.in_force))


def needing(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return what fails for want of what this object brings, or is: a kind, a namespace."""
    near = set(world.sharing.get(brought_by(ref), ()))
    for shared, lacking in world.sharing.items():
        if shared.startswith((GROUP, NAMESPACE)) and (
            ref in world.bringers.get(shared, ()) or _never_began(world, shared, ref)
        ):
            near |= {each for each in lacking if ref in bringers_of(world, world.objects[each])}
        elif shared.startswith(UNANSWERED) and ref.group in (KUSTOMIZE, HELM):
            near |= {each for each in lacking if ref in servers_of(world, world.objects[each])}
    return near


def brought_by(ref: ObjectRef) -> str:
    """Return the fault that ends when this object is applied: a missing kind or a missing namespace; else nothing."""
    if ref.kind == DEFINITION:
        return GROUP + ref.name.partition(".")[2]  # a definition is called PLURAL.GROUP
    return NAMESPACE + ref.name if ref.kind == "Namespace" else ""


def _before(cause: Known, effect: Known) -> bool:
    began, broke = cause.failing_since, effect.failing_since
    return began is not None and broke is not None and (began - broke).total_seconds() <= LISTED_TOGETHER
