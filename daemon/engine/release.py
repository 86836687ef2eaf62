"""Which Helm release a workload belongs to, and which HelmReleases manage it: by annotations, never by names alone."""

from daemon.engine.world import World
from daemon.model.objects import ObjectState
from daemon.model.refs import ObjectRef

RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"

Release = tuple[str, str]
"""Namespace and name of a Helm release."""


def claimed_by(state: ObjectState) -> Release | None:
    """Return the Helm release that a workload's own annotations claim, or None."""
    if state.replicas is None:
        return None
    name = state.annotations.get(RELEASE_NAME)
    return (state.annotations.get(RELEASE_NAMESPACE, state.ref.namespace), name) if name else None


def managed_by(state: ObjectState) -> Release | None:
    """Return the Helm release that a HelmRelease manages, or None."""
    return (state.helm.namespace, state.helm.release) if state.helm is not None else None


def workloads_of(world: World, state: ObjectState) -> set[ObjectRef]:
    """Return the workloads of the Helm release that a HelmRelease manages."""
    release = managed_by(state)
    return set(world.released.get(release, ())) if release else set()


def managers_of(world: World, workload: ObjectRef) -> tuple[ObjectRef, ...]:
    """Return the HelmReleases that manage the release which a workload claims, sorted."""
    known = world.known(workload)
    release = claimed_by(known.state) if known is not None else None
    return tuple(sorted(world.managers.get(release, ()))) if release else ()
