"""Which Helm release a workload belongs to, and which HelmReleases manage it: by annotations or Flux's own labels.

Never by names alone. A label is a claim: what is left behind after a hand-over names a HelmRelease that is gone.
"""

from daemon.engine.world import World
from daemon.model.objects import ObjectState
from daemon.model.refs import ObjectRef

RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
FLUX_NAME = "helm.toolkit.fluxcd.io/name"
FLUX_NAMESPACE = "helm.toolkit.fluxcd.io/namespace"

Release = tuple[str, str]
"""Namespace and name of a Helm release; or, for a workload that only carries labels, of its HelmRelease (LABELLED)."""
LABELLED = "HelmRelease in "


def claimed_by(state: ObjectState) -> Release | None:
    """Return the Helm release that a workload's annotations claim, else the HelmRelease of its labels, or None."""
    if state.replicas is None:
        return None
    name = state.annotations.get(RELEASE_NAME)
    if name:
        return state.annotations.get(RELEASE_NAMESPACE, state.ref.namespace), name
    label = state.labels.get(FLUX_NAME)
    return (LABELLED + state.labels.get(FLUX_NAMESPACE, state.ref.namespace), label) if label else None


def managed_by(state: ObjectState) -> Release | None:
    """Return the Helm release that a HelmRelease manages, or None."""
    return (state.helm.namespace, state.helm.release) if state.helm is not None else None


def claims_of(state: ObjectState) -> tuple[Release, ...]:
    """Return every claim of a workload that means this HelmRelease; none for other kinds."""
    release = managed_by(state)
    return (release, (LABELLED + state.ref.namespace, state.ref.name)) if release is not None else ()


def workloads_of(world: World, state: ObjectState) -> set[ObjectRef]:
    """Return the workloads of the Helm release that a HelmRelease manages."""
    return set().union(*(world.released.get(claim, ()) for claim in claims_of(state)))


def managers_of(world: World, workload: ObjectRef) -> tuple[ObjectRef, ...]:
    """Return the HelmReleases that manage the release which a workload claims, sorted."""
    known = world.known(workload)
    release = claimed_by(known.state) if known is not None else None
    return tuple(sorted(world.managers.get(release, ()))) if release else ()
