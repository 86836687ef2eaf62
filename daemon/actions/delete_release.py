"""Remove a HelmRelease so that the Helm release and its workloads stay: suspend, observe, wait, delete, prove.

A plain delete of an unsuspended HelmRelease uninstalls what stands in Helm's storage under its name, whoever wrote it.
So: suspend and see it observed; never race a Helm action in flight; let the owner's own prune do the delete while an
inventory holds the object (a live deletion would be undone, unsuspended); delete by uid and version only what no
inventory holds; and prove afterwards that the storage and the workloads are still the same objects.
If anything is missing, it refuses and leaves the release suspended, which is the safe side of both.

Observed means: helm-controller has handled our reconcile request, which went out in one write with the suspension. It
works on one object once at a time, so whatever it had begun before is over then (flux.md 5.2).
"""

from dataclasses import dataclass

from daemon.actions.plugin import (
    OWNER_ANNOTATION,
    REQUESTED,
    TRIES,
    Permission,
    Plugin,
    against,
    answer_of,
    changed,
    failed,
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
from daemon.flux.decode import decode_object, decode_release, parse
from daemon.flux.kinds import HELM, KUSTOMIZE, OPERATOR
from daemon.model.errors import ClusterError, Conflict, NotFound
from daemon.model.objects import HelmTarget, ObjectState
from daemon.model.ports import Clock, Cluster, Json
from daemon.model.refs import ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult

RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")
HOLDERS = (
    (KUSTOMIZE, "Kustomization"),
    (HELM, "HelmRelease"),
    (OPERATOR, "ResourceSet"),
    (OPERATOR, "FluxInstance"),
)
"""What keeps an inventory and so would put the object back; flux-operator's kinds are in few clusters."""


@dataclass(frozen=True, slots=True)
class Survivors:
    """What must outlive the HelmRelease: uid by name, of storage Secrets and of workloads."""

    storage: dict[str, str]
    workloads: dict[str, str]

    def missing_from(self, after: "Survivors") -> list[str]:
        """Return what is gone or was made anew."""
        before = {**self.storage, **self.workloads}
        now = {**after.storage, **after.workloads}
        return sorted(name for name, uid in before.items() if now.get(name) != uid)


class DeleteRelease:
    """The action `delete-release`."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        """Act on this cluster."""
        self._cluster = cluster
        self._clock = clock

    async def run(self, request: ActionRequest) -> ActionResult:
        """Remove the HelmRelease safely, or refuse and say why."""
        if (request.ref.group, request.ref.kind) != (HELM, "HelmRelease"):
            return refused(f"{request.ref} is no HelmRelease")
        try:
            state = await read(self._cluster, request.ref)
            before = await self._survivors(state)
            await self._holder(request.ref)  # may it be asked at all? Else nothing is begun.
        except NotFound:
            return unchanged(f"{request.ref} is already gone")
        except ClusterError as error:
            return failed(f"{request.ref} cannot be judged, so nothing was done: {error}")
        if why := against(request, state) or _forbids(state, before):
            return refused(why)
        try:
            return await self._remove(request, state, before)
        except ClusterError as error:
            return answer_of(error, f"delete-release {request.ref}")

    async def look(self, request: ActionRequest) -> ActionResult:
        """Say how far a lost run came: gone, suspended by us, or untouched."""
        try:
            raw = await self._cluster.get(request.ref)
        except NotFound:
            return changed(f"{request.ref} is gone; that its release lives is for the checks to prove")
        except ClusterError as error:
            return unknown(f"{request.ref} cannot be read: {error}")
        if request.expects.uid and field(raw, "metadata", "uid") != request.expects.uid:
            return failed(f"{request.ref} is another object now: it was put back, or made anew")
        if token_of(raw, OWNER_ANNOTATION) == request.token:
            return not_done(f"{request.ref} was suspended by us and is still there: it was not deleted")
        return not_done(f"{request.ref} was not touched")

    async def _remove(self, request: ActionRequest, state: ObjectState, before: Survivors) -> ActionResult:
        ref = request.ref
        busy = await wait_for(self._clock, request.deadline, lambda: self._busy(ref))
        if busy:
            return refused(f"{ref}: {busy}; a Helm action is never interrupted")
        await self._suspend(request, state)
        if request.dry_run:
            return unchanged(f"{ref} would be suspended and removed (dry run)")
        why = await wait_for(self._clock, request.deadline, lambda: self._unobserved(request, state.uid))
        why = why or await wait_for(self._clock, request.deadline, lambda: self._held_by_git(ref, state.uid))
        why = why or await self._delete(ref, state.uid)
        if why:
            return refused(f"{ref} is not deleted: {why}")
        left = await wait_for(self._clock, request.deadline, lambda: self._present(ref, state.uid))
        if left:
            return failed(f"{ref}: {left}")
        return await self._proof(state, before)

    async def _suspend(self, request: ActionRequest, state: ObjectState) -> None:
        """Suspend it and ask for a look at it in one write; a suspension that is not ours is not claimed as ours."""
        try:
            current = await read(self._cluster, request.ref)
        except NotFound:
            return
        if current.uid != state.uid or against(request, current):
            raise Conflict(f"{request.ref} changed while a Helm action was waited for", status=409)
        if _suspended(current) and current.requested_at == request.token:
            return
        ours = {} if _suspended(current) else {OWNER_ANNOTATION: request.token}
        annotations = {REQUESTED: request.token} | ours
        await patch_as_judged(self._cluster, current, annotations, {"suspend": True}, dry_run=request.dry_run)

    async def _delete(self, ref: ObjectRef, uid: str) -> str:
        """Delete it if it is still the suspended object; the version makes this check and the act one. Say why not."""
        conflicts = 0
        while True:
            try:
                current = await read(self._cluster, ref)
                if current.uid != uid or not _suspended(current):
                    return "it was put back, or its suspension was taken back: somebody else writes it"
                await self._cluster.delete(ref, uid=uid, resource_version=current.resource_version)
            except NotFound:
                return ""
            except Conflict:
                conflicts += 1
                if conflicts == TRIES:
                    raise
            else:
                return ""

    async def _proof(self, state: ObjectState, before: Survivors) -> ActionResult:
        after = await self._survivors(state)
        missing = before.missing_from(after)
        if missing:
            return failed(f"{state.ref} is gone, but so are: {', '.join(missing)}", *_lines(before))
        return changed(
            f"{state.ref} is gone; its Helm storage and workloads are the same objects as before", *_lines(after)
        )

    async def _busy(self, ref: ObjectRef) -> str:
        """Say what runs: a Helm action by its condition, or a pending revision in storage (anybody's)."""
        try:
            state = await read(self._cluster, ref)
        except NotFound:
            return ""
        reconciling = state.condition("Reconciling")
        if not _suspended(state) and reconciling is not None and reconciling.message.startswith("Running "):
            return f"helm-controller is at work ({reconciling.message})"
        return await self._pending(state)

    async def _pending(self, state: ObjectState) -> str:
        for raw in await self._storage(state):
            seen = decode_release(raw, self._cluster.name, self._clock.now())
            if seen is not None and seen.status.startswith("pending-"):
                return f"revision {seen.revision} is {seen.status}"
        return ""

    async def _unobserved(self, request: ActionRequest, uid: str) -> str:
        try:
            state = await read(self._cluster, request.ref)
        except NotFound:
            return ""
        if state.uid != uid:
            return "it was created anew"
        if not _suspended(state):
            return "somebody took the suspension back (is suspend: false in Git?)"
        if state.handled_at != request.token:
            return "helm-controller has not observed the suspension yet"
        return await self._pending(state)

    async def _held_by_git(self, ref: ObjectRef, uid: str) -> str:
        """Say what would put it back; nothing once its owner's prune removed it, or no inventory holds it."""
        try:
            state = await read(self._cluster, ref)
        except NotFound:
            return ""
        if state.uid != uid or not _suspended(state):
            return "it was put back, or its suspension was taken back: somebody else writes it"
        return await self._holder(ref)

    async def _holder(self, ref: ObjectRef) -> str:
        """Say whose inventory holds it, or nothing."""
        for group, kind in HOLDERS:
            try:
                found = await self._cluster.list(group, kind)
            except NotFound:
                continue
            for raw in found:
                owner = decode_object({"apiVersion": f"{group}/v1", "kind": kind, **raw}, self._cluster.name)
                if ref in owner.contains:
                    held = f"{kind} {owner.ref.place}" + (f" (path {owner.path})" if owner.path else "")
                    return f"remove it from Git: {held} still applies it; while it is suspended, that prune is safe"
        return ""

    async def _present(self, ref: ObjectRef, uid: str) -> str:
        try:
            state = await read(self._cluster, ref)
        except NotFound:
            return ""
        return "is still there" if state.uid == uid else "was put back at once"

    async def _survivors(self, state: ObjectState) -> Survivors:
        """Return what is there and stays: an object that is being deleted already does not count."""
        storage = {f"Secret/{_name(raw)}": _uid(raw) for raw in await self._storage(state) if _stays(raw)}
        workloads: dict[str, str] = {}
        helm = _target(state)
        claim = (helm.release, helm.namespace)
        for kind in WORKLOADS:
            for raw in await self._cluster.list("apps", kind, namespace=helm.namespace):
                if (token_of(raw, RELEASE_NAME), token_of(raw, RELEASE_NAMESPACE)) == claim and _stays(raw):
                    workloads[f"{kind}/{_name(raw)}"] = _uid(raw)
        return Survivors(storage, workloads)

    async def _storage(self, state: ObjectState) -> list[Json]:
        helm = _target(state)
        labels = f"owner=helm,name={helm.release}"
        return await self._cluster.list(
            "", "Secret", namespace=helm.storage_namespace, labels=labels, metadata_only=True
        )


def _forbids(state: ObjectState, before: Survivors) -> str:
    """Return what forbids even the first step, or an empty string."""
    ref = state.ref
    if state.deleted_at is not None and not _suspended(state):
        return f"{ref} is being deleted without suspension: Helm is uninstalling already"
    if field(parse(state.text), "spec", "kubeConfig") is not None:
        return f"the release of {ref} lives in another cluster: its survival could not be proven"
    if not before.storage:
        return f"no Helm storage of {ref} can be seen: its survival could not be proven"
    return ""


def _target(state: ObjectState) -> HelmTarget:
    ref = state.ref
    return state.helm or HelmTarget(ref.name, ref.namespace, ref.namespace)


def _suspended(state: ObjectState) -> bool:
    """Say what helm-controller goes by: the field alone, not the annotations that pause other kinds."""
    return field(parse(state.text), "spec", "suspend") is True


def _stays(raw: Json) -> bool:
    return field(raw, "metadata", "deletionTimestamp") is None


def _lines(found: Survivors) -> tuple[str, ...]:
    return tuple(f"kept: {name} (uid {uid})" for name, uid in sorted({**found.storage, **found.workloads}.items()))


def _name(raw: Json) -> str:
    return str(field(raw, "metadata", "name") or "")


def _uid(raw: Json) -> str:
    return str(field(raw, "metadata", "uid") or "")


PLUGIN = Plugin(
    name="delete-release",
    permissions=(
        Permission(HELM, "helmreleases", ("get", "list", "patch", "delete")),
        Permission(KUSTOMIZE, "kustomizations", ("list",)),
        Permission(OPERATOR, "resourcesets", ("list",)),
        Permission(OPERATOR, "fluxinstances", ("list",)),
        Permission("", "secrets", ("list",)),
        Permission("apps", "daemonsets", ("list",)),
        Permission("apps", "deployments", ("list",)),
        Permission("apps", "statefulsets", ("list",)),
    ),
    build=DeleteRelease,
)
