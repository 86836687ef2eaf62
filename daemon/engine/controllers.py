"""Flux's controllers as objects of the cluster: which Deployment moves what, and whether it does.

By the labels of Flux's own manifests. Limit: a controller that runs outside of the cluster is not seen.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from daemon.engine.health import is_lagging
from daemon.engine.world import Known, World
from daemon.flux.kinds import HELM, KUSTOMIZE, NOTIFICATION, SOURCE
from daemon.model.findings import FindingState
from daemon.model.objects import ObjectState
from daemon.model.refs import Fingerprint, ObjectRef

PART_OF = "app.kubernetes.io/part-of"
COMPONENT = "app.kubernetes.io/component"
CONTROLLERS = {
    KUSTOMIZE: "kustomize-controller",
    HELM: "helm-controller",
    SOURCE: "source-controller",
    NOTIFICATION: "notification-controller",
}
"""API group to the controller that moves its objects."""
CONTROLLER_SILENT = "controller-silent"
UNFINISHED = "run-unfinished"
UNAPPLIED = "revision-unapplied"
NOT_OBSERVED = "not-observed"
SHARD = "sharding.fluxcd.io/key"
"""The label that gives an object to one of several controllers (flux.md 7.6)."""
NO_LABELS: Mapping[str, str] = MappingProxyType({})


def controller_of(state: ObjectState) -> str:
    """Return which of Flux's controllers a Deployment runs, by the labels of Flux's own manifests; empty for none."""
    if state.ref.kind != "Deployment" or state.labels.get(PART_OF) != "flux":
        return ""
    return state.labels.get(COMPONENT, "")


def is_down(state: ObjectState) -> bool:
    """Say whether a workload has no pod that is ready, wanted or not."""
    return state.replicas is not None and not state.replicas.ready


def silent_controllers(world: World, group: str, labels: Mapping[str, str] = NO_LABELS) -> Iterator[ObjectRef]:
    """Yield the Deployments of the controller of an API group that have no pod, or whose pod does nothing.

    With several, each for a shard, only those that an object with these labels belongs to.
    """
    everyone = sorted(world.controllers.get(CONTROLLERS.get(group, ""), ()))
    shard = labels.get(SHARD, "")
    mine = [ref for ref in everyone if shard_of(world, ref) == shard] if len(everyone) > 1 else everyone
    for ref in mine:
        if is_down(world.objects[ref].state) or is_firing(world, CONTROLLER_SILENT, ref):
            yield ref


def shard_of(world: World, ref: ObjectRef) -> str:
    """Return the shard that a controller's Deployment is for, by its name; empty for the one that has the rest.

    What it selects stands in its pods' arguments; people name it CONTROLLER-SHARD, as Flux's guide does (flux.md 7.6).
    """
    before = f"{controller_of(world.objects[ref].state)}-"
    return ref.name.removeprefix(before) if ref.name.startswith(before) else ""


def stands_still(world: World, known: Known) -> bool:
    """Say whether nobody works on an object: a spec not looked at, a run that never ended, a revision not applied."""
    return is_lagging(known.state) or any(
        is_firing(world, test, known.state.ref) for test in (UNFINISHED, UNAPPLIED, NOT_OBSERVED)
    )


def is_firing(world: World, test: str, ref: ObjectRef) -> bool:
    """Say whether one test fires for an object."""
    finding = world.findings.get(Fingerprint(test, ref))
    return finding is not None and finding.state is FindingState.FIRING


def moved_by(world: World, ref: ObjectRef) -> set[ObjectRef]:
    """Return the objects that wait to be looked at by the controller that this Deployment runs."""
    known = world.known(ref)
    name = controller_of(known.state) if known is not None else ""
    if not name:
        return set()
    groups = {group for group, controller in CONTROLLERS.items() if controller == name}
    waiting = {each for each, other in world.objects.items() if each.group in groups and stands_still(world, other)}
    if SOURCE not in groups:
        return waiting
    failed = ((each, other.failed) for each, other in world.objects.items())
    return waiting | {each for each, told in failed if told is not None and told.reason == "ArtifactFailed"}
