"""Ask Flux to reconcile one object, its source first if wanted, and see the request handled.

The token is ours alone, so "handled" cannot be somebody else's run. A suspended object records a token without doing
anything, so suspension is read first and refused. Handled is not reconciled: whether it helped is for the checks.
"""

from datetime import timedelta

from daemon.actions.plugin import (
    OWNER_ANNOTATION,
    REQUESTED,
    Permission,
    Plugin,
    against,
    answer_of,
    changed,
    field,
    not_done,
    patch_as_judged,
    read,
    refused,
    token_of,
    unchanged,
    unknown,
    wait_for,
)
from daemon.flux.kinds import HELM, KUSTOMIZE, SOURCE, kind_of
from daemon.model.errors import ClusterError, NotFound
from daemon.model.objects import ObjectState
from daemon.model.ports import Clock, Cluster
from daemon.model.refs import ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult, Outcome

HANDLED_WITHIN = 120.0
"""Seconds a controller may take to see a request, beside the object's own time-out: a run in flight comes first."""
FLUX_GROUPS = (
    (KUSTOMIZE, ("kustomizations",)),
    (HELM, ("helmreleases",)),
    (SOURCE, ("gitrepositories", "ocirepositories", "helmrepositories", "helmcharts", "buckets")),
)


class Reconcile:
    """The action `reconcile`."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        """Act on this cluster."""
        self._cluster = cluster
        self._clock = clock

    async def run(self, request: ActionRequest) -> ActionResult:
        """Annotate the source (if asked) and the object, and wait until each says that it handled our token."""
        try:
            state = await read(self._cluster, request.ref)
            if state.suspended:
                return refused(f"{request.ref} is suspended: it would record the request and do nothing")
            if why := against(request, state):
                return refused(why)
            evidence = []
            if request.params.get("source", "").lower() == "true":
                evidence += await self._source_first(state, request)
            told = await self._ask(state, request)
        except NotFound as error:
            return refused(f"{request.ref} cannot be reconciled: {error}")
        except ClusterError as error:
            return answer_of(error, f"reconcile {request.ref}")
        return ActionResult(told.outcome, told.detail, (*evidence, *told.evidence))

    async def look(self, request: ActionRequest) -> ActionResult:
        """Say whether our token stands on the object."""
        try:
            raw = await self._cluster.get(request.ref)
        except NotFound:
            return not_done(f"{request.ref} does not exist: the request was not made, or is moot")
        except ClusterError as error:
            return unknown(f"{request.ref} cannot be read: {error}")
        if request.token in {token_of(raw, REQUESTED), field(raw, "status", "lastHandledReconcileAt")}:
            return changed(f"{request.ref} carries our request")
        return not_done(f"{request.ref} does not carry our request: it was not made")

    async def _source_first(self, state: ObjectState, request: ActionRequest) -> list[str]:
        """Reconcile what the object is made from, and what that is made from; static kinds are passed over."""
        lines: list[str] = []
        chain: list[ObjectRef] = []
        source = state.source
        while source is not None and source not in chain:
            chain.append(source)
            source = (await read(self._cluster, source)).source
        for ref in reversed(chain):
            raw_state = await read(self._cluster, ref)
            if raw_state.suspended or _is_static(raw_state):
                lines.append(f"{ref}: passed over ({'suspended' if raw_state.suspended else 'not reconciled by Flux'})")
                continue
            told = await self._ask(raw_state, request, share=0.5)
            lines.append(told.detail)
        return lines

    async def _ask(self, state: ObjectState, request: ActionRequest, *, share: float = 1.0) -> ActionResult:
        """Ask one object; wait for this share of the time left at most, so that a source leaves some to its user."""
        ref = state.ref
        if request.token not in {state.requested_at, state.handled_at}:
            annotations = {REQUESTED: request.token, OWNER_ANNOTATION: request.token}
            await patch_as_judged(self._cluster, state, annotations, dry_run=request.dry_run)
        if request.dry_run:
            return unchanged(f"{ref} would be asked to reconcile (dry run)")
        patience = timedelta(seconds=HANDLED_WITHIN + (state.timeout or 0.0))
        now = self._clock.now()
        left_over = (request.deadline - now) * share if request.deadline is not None else patience
        deadline = now + min(patience, left_over)
        left = await wait_for(self._clock, deadline, lambda: self._handled(ref, request.token))
        if left:
            return ActionResult(Outcome.FAILED, f"{ref}: no effect: {left}")
        return changed(f"{ref} handled the request")

    async def _handled(self, ref: ObjectRef, token: str) -> str:
        raw = await self._cluster.get(ref)
        handled = field(raw, "status", "lastHandledReconcileAt")
        return "" if handled == token else "its controller has not handled the request yet"


def _is_static(state: ObjectState) -> bool:
    """Say whether Flux never reconciles this object: an OCI HelmRepository, an ExternalArtifact (flux.md 5.1)."""
    kind = kind_of(state.ref.group, state.ref.kind)
    oci = state.ref.kind == "HelmRepository" and state.ready is None
    return kind is None or oci or state.ref.kind == "ExternalArtifact"


PLUGIN = Plugin(
    name="reconcile",
    permissions=(
        *(Permission(group, resource, ("get", "patch")) for group, resources in FLUX_GROUPS for resource in resources),
        Permission(SOURCE, "externalartifacts", ("get",)),
    ),
    build=Reconcile,
)
