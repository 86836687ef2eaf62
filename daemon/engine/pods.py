"""Detectors of what is wrong with the pods below a failed check or a failed release: each trouble has its own remedy.

Flux says only that a workload is not ready in time. They sharpen what a rule has found, at its severity, and say
nothing where no rule speaks. Limit: pods are read on demand, once a failure names their workload, so a trouble shows
some seconds after the failure itself.
"""

from collections.abc import Iterable

from daemon.engine.draft import Draft
from daemon.engine.lineage import named_by, pods_of
from daemon.engine.release import workloads_of
from daemon.engine.world import DIAGNOSES, Known, World
from daemon.flux.culprit import culprit_of
from daemon.model.findings import Severity
from daemon.model.objects import Health, PodTrouble
from daemon.model.refs import ObjectRef

IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
"""Reasons of a waiting container whose image is not there (kubelet, pkg/kubelet/images)."""
CRASH = frozenset({"CrashLoopBackOff", "Error", "OOMKilled", "StartError", "ContainerCannotRun", "NotReady"})
"""Reasons of a container that began and ended, or runs and does not get ready after it was restarted."""
PLACE = frozenset({"Unschedulable", "SchedulerError", "SchedulingGated"})
"""Reasons of the condition PodScheduled=False."""


def image_pull(world: World, known: Known) -> Draft | None:
    """Find a failure whose pods cannot get their image."""
    found = _troubled(world, known, IMAGE)
    if found is None:
        return None
    severity, workload, pod, trouble = found
    return Draft(
        "image-pull",
        severity,
        f"the image of {workload.kind} {workload.place} cannot be pulled: {_said(trouble)}",
        0.0,
        next_step="Check that the tag exists in the registry and that the pull secret may read it; then correct it in "
        f"Git: kubectl -n {pod.namespace} describe pod {pod.name}",
        related=(workload,),
    )


def crash_loop(world: World, known: Known) -> Draft | None:
    """Find a failure whose pods start and end again and again."""
    found = _troubled(world, known, CRASH)
    if found is None:
        return None
    severity, workload, pod, trouble = found
    container = f" -c {trouble.container}" if trouble.container else ""
    return Draft(
        "crash-loop",
        severity,
        f"the pods of {workload.kind} {workload.place} do not stay up: {_said(trouble)}",
        0.0,
        next_step=f"Read why it ended: kubectl -n {pod.namespace} logs {pod.name}{container} --previous",
        related=(workload,),
    )


def unschedulable(world: World, known: Known) -> Draft | None:
    """Find a failure whose pods no node takes."""
    found = _troubled(world, known, PLACE)
    if found is None:
        return None
    severity, workload, pod, trouble = found
    return Draft(
        "unschedulable",
        severity,
        f"no node takes the pods of {workload.kind} {workload.place}: {_said(trouble)}",
        0.0,
        next_step="Compare what the pod asks for with what the nodes have left: "
        f"kubectl -n {pod.namespace} describe pod {pod.name}; kubectl describe nodes",
        related=(workload,),
    )


def _troubled(
    world: World, known: Known, reasons: Iterable[str]
) -> tuple[Severity, ObjectRef, ObjectRef, PodTrouble] | None:
    """Return the first pod with such a trouble under a workload that is down and that the failure is about."""
    told = [each.severity for each in world.firing(known.state.ref) if each.test not in DIAGNOSES]
    if not told or known.health is not Health.FAILED or known.actual is Health.BLOCKED:
        return None
    for workload in sorted({*named_by(world, known.failed), *workloads_of(world, known.state)}):
        other = world.known(workload)
        if other is None or other.state.replicas is None or other.state.replicas.complete:
            continue
        for pod in pods_of(world, workload):
            if pod.state.pod is not None and pod.state.pod.reason in reasons:
                return max(told), workload, pod.state.ref, pod.state.pod
    return None


def _said(trouble: PodTrouble) -> str:
    return ": ".join(part for part in (trouble.reason, culprit_of(trouble.message)) if part)
