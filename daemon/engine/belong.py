"""Which open incident a finding belongs to: its root's, one that its root is about to take over, or none yet.

Pure reading; `correlate` acts on it. Limit: it compares what objects say and when they began to say it; a cause that
Flux names nowhere is no reason to join.
"""

import re

from daemon.engine.graph import SELF_MADE, SPEC_FAILURES, is_broken, root_of, roots_of
from daemon.engine.lineage import below, blamed_refs, named_by
from daemon.engine.world import Case, Known, World
from daemon.model.findings import Finding
from daemon.model.objects import Health
from daemon.model.refs import ObjectRef

MISBUILT = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)
"""Troubles of a pod that its template is to blame for."""
PASSING = re.compile(
    r"timed? ?out|deadline exceeded|connection refused|no such host|unreachable|unavailable", re.IGNORECASE
)
"""Words of failures that something else may have brought about."""
UNMOVED = frozenset({"not-observed", "revision-unapplied"})
"""Detectors that tell of a controller by one object each: of one kind they are one incident."""
OWN_FAULTS = SELF_MADE | {"source-missing"}
OWN_REASONS = SPEC_FAILURES | {"BuildFailed"}
"""What an object's spec or content says of itself: no failure of another object brings it about."""


def incident_for(world: World, finding: Finding) -> Case | None:
    """Return the open incident of the finding's root, of what waits for it, or of what it shares a cause with."""
    root = root_of(world, finding.ref)
    case = world.case_of(root) or _waiting_for(world, root) or _same_workload(world, root)
    if case is None and finding.test in UNMOVED:
        return _same_controller(world, finding)
    return case


def _waiting_for(world: World, root: ObjectRef) -> Case | None:
    """Return the open incident that this root is about to take over: a parent may time out before what it waits for."""
    for case in world.open_cases():
        below = case.incident.root
        if root_of(world, below) == root and not failed_before(world, below, root):
            return case
    return None


def _same_workload(world: World, root: ObjectRef) -> Case | None:
    """Return the open incident that holds a workload which a failed check blames: its root may be gone by now."""
    known = world.known(root)
    for ref in blamed_refs(world, known) if known is not None else ():
        if not _is_down(world, ref):
            continue
        for case in world.open_cases():
            if ref in case.workloads:
                return case
    return None


def _same_controller(world: World, finding: Finding) -> Case | None:
    for case in world.open_cases():
        root = case.incident.root
        silent = any(found.test in UNMOVED for found in case.findings) or world.health(root) is Health.IN_PROGRESS
        if silent and (root.group, root.kind) == (finding.ref.group, finding.ref.kind):
            return case
    return None


def is_apart(world: World, case: Case, finding: Finding) -> bool:
    """Say whether an object that waits in an incident has a fault of its own now, which will not end with it.

    Only while the incident's root still fails: of a root that is well, the incident may go on with what still fails.
    """
    if finding.test not in OWN_FAULTS and _reason(world, finding.ref) not in OWN_REASONS:
        return False
    root = root_of(world, finding.ref)
    held = is_broken(world, case.incident.root) and case.incident.root not in roots_of(world, finding.ref)
    return held and root not in roots_of(world, case.incident.root)


def failed_before(world: World, root: ObjectRef, above: ObjectRef) -> bool:
    """Say whether a root that only waits by now had failed first, of a fault of its own: all was well when it ran.

    A time-out or a crash may have been the first sign of what is down above it; a bad spec, chart or image is not.
    """
    known, other = world.known(root), world.known(above)
    if known is None or other is None or known.actual is not Health.BLOCKED or known.failing_since is None:
        return False
    return other.since is not None and other.since > known.failing_since and _is_own(world, known)


def _is_own(world: World, known: Known) -> bool:
    failed = known.failed
    if failed is None or failed.reason in OWN_REASONS:
        return failed is not None
    named = named_by(world, failed)
    if named:
        return any(_is_misbuilt(world, pod) for ref in named for pod in below(world, ref))
    return not known.shared and PASSING.search(failed.message) is None


def _is_misbuilt(world: World, pod: ObjectRef) -> bool:
    known = world.known(pod)
    return known is not None and known.state.pod is not None and known.state.pod.reason in MISBUILT


def _reason(world: World, ref: ObjectRef) -> str:
    known = world.known(ref)
    return known.failed.reason if known is not None and known.failed is not None else ""


def _is_down(world: World, ref: ObjectRef) -> bool:
    known = world.known(ref)
    return known is not None and known.state.replicas is not None and not known.state.replicas.complete
