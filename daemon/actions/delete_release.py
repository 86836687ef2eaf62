"""Remove a HelmRelease so that the Helm release and its workloads stay: suspend, observe, wait, delete, prove.

A plain delete of an unsuspended HelmRelease uninstalls what stands in Helm's storage under its name, whoever wrote it.
So: suspend and see it observed; never race a Helm action in flight; let the owner's own prune do the delete while an
inventory holds the object (a live deletion would be undone, unsuspended); delete by uid and version only what no
inventory holds; and prove afterwards that the storage and the workloads are still the same objects.
If anything is missing, it refuses and leaves the release suspended, which is the safe side of both.
"""

from dataclasses import dataclass

from daemon.actions.plugin import (
    OWNER_ANNOTATION,
    Permission,
    Plugin,
    answer_of,
    changed,
    failed,
    field,
    refused,
    token_of,
    unchanged,
    unknown,
    wait_for,
)
from daemon.flux.decode import decode_object, decode_release
from daemon.flux.kinds import HELM, KUSTOMIZE
from daemon.model.errors import ClusterError, NotFound
from daemon.model.objects import ObjectState
from daemon.model.ports import Clock, Cluster, Json
from daemon.model.refs import ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult

RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")


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
        try:
            state = await self._read(request.ref)
            before = await self._survivors(state)
        except NotFound:
            return unchanged(f"{request.ref} is already gone")
        except ClusterError as error:
            return failed(f"{request.ref} cannot be read: {error}")
        against = _against(request, state, before)
        if against:
            return refused(against)
        try:
            return await self._remove(request, state, before)
        except ClusterError as error:
            return answer_of(error, f"delete-release {request.ref}")

    async def look(self, request: ActionRequest) -> ActionResult:
        """Say how far a lost run came: gone, suspended by us, or untouched."""
        try:
            raw = await self._cluster.get(request.ref)
        except NotFound:
            return changed(f"{request.ref} is gone")
        except ClusterError as error:
            return unknown(f"{request.ref} cannot be read: {error}")
        if token_of(raw, OWNER_ANNOTATION) == request.token:
            return unchanged(f"{request.ref} was suspended by us and is still there: it was not deleted")
        return unchanged(f"{request.ref} was not touched")

    async def _remove(self, request: ActionRequest, state: ObjectState, before: Survivors) -> ActionResult:
        ref = request.ref
        busy = await wait_for(self._clock, request.deadline, lambda: self._busy(ref))
        if busy:
            return refused(f"{ref}: {busy}; a Helm action is never interrupted")
        if request.dry_run:
            return unchanged(f"{ref} would be suspended and removed (dry run)")
        if not state.suspended:
            await self._suspend(request)
        unseen = await wait_for(self._clock, request.deadline, lambda: self._unobserved(ref, state.uid))
        if unseen:
            return refused(f"{ref} stays suspended: {unseen}")
        held = await wait_for(self._clock, request.deadline, lambda: self._held_by_git(ref, state.uid))
        if held:
            return refused(f"{ref} stays suspended, which makes the prune safe: {held}")
        await self._delete(ref, state.uid)
        left = await wait_for(self._clock, request.deadline, lambda: self._present(ref, state.uid))
        if left:
            return failed(f"{ref}: {left}")
        return await self._proof(state, before)

    async def _suspend(self, request: ActionRequest) -> None:
        current = await self._cluster.get(request.ref)
        body = {
            "metadata": {
                "uid": field(current, "metadata", "uid"),
                "resourceVersion": field(current, "metadata", "resourceVersion"),
                "annotations": {OWNER_ANNOTATION: request.token},
            },
            "spec": {"suspend": True},
        }
        await self._cluster.patch(request.ref, body)

    async def _delete(self, ref: ObjectRef, uid: str) -> None:
        """Delete what is suspended and observed, if it is still there; the version makes the check and the act one."""
        try:
            current = await self._read(ref)
            if current.uid != uid:
                return
            await self._cluster.delete(ref, uid=uid, resource_version=current.resource_version)
        except NotFound:
            return

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
            state = await self._read(ref)
        except NotFound:
            return ""
        reconciling = state.condition("Reconciling")
        if not state.suspended and reconciling is not None and reconciling.message.startswith("Running "):
            return f"helm-controller is at work ({reconciling.message})"
        for raw in await self._storage(state):
            seen = decode_release(raw, self._cluster.name, self._clock.now())
            if seen is not None and seen.status.startswith("pending-"):
                return f"revision {seen.revision} is {seen.status}"
        return ""

    async def _unobserved(self, ref: ObjectRef, uid: str) -> str:
        try:
            state = await self._read(ref)
        except NotFound:
            return ""
        if state.uid != uid:
            return "it was created anew"
        if not state.suspended:
            return "somebody took the suspension back (is suspend: false in Git?)"
        return "" if _is_quiet(state) else "the suspension is not observed yet"

    async def _held_by_git(self, ref: ObjectRef, uid: str) -> str:
        """Say which Kustomization would put it back; nothing once its prune removed it, or no inventory holds it."""
        try:
            state = await self._read(ref)
        except NotFound:
            return ""
        if state.uid != uid or not state.suspended:
            return "it was put back, or its suspension was taken back: somebody else writes it"
        for raw in await self._cluster.list(KUSTOMIZE, "Kustomization"):
            owner = decode_object(raw, self._cluster.name)
            if ref in owner.contains:
                return f"remove it from Git: Kustomization {owner.ref.place} (path {owner.path}) still applies it"
        return ""

    async def _present(self, ref: ObjectRef, uid: str) -> str:
        try:
            state = await self._read(ref)
        except NotFound:
            return ""
        return "is still there" if state.uid == uid else "was put back at once"

    async def _survivors(self, state: ObjectState) -> Survivors:
        storage = {f"Secret/{_name(raw)}": _uid(raw) for raw in await self._storage(state)}
        workloads: dict[str, str] = {}
        helm = state.helm
        for kind in WORKLOADS if helm is not None else ():
            for raw in await self._cluster.list("apps", kind, namespace=helm.namespace if helm else ""):
                claim = (token_of(raw, RELEASE_NAME), token_of(raw, RELEASE_NAMESPACE))
                if helm is not None and claim == (helm.release, helm.namespace):
                    workloads[f"{kind}/{_name(raw)}"] = _uid(raw)
        return Survivors(storage, workloads)

    async def _storage(self, state: ObjectState) -> list[Json]:
        helm = state.helm
        if helm is None:
            return []
        labels = f"owner=helm,name={helm.release}"
        return await self._cluster.list(
            "", "Secret", namespace=helm.storage_namespace, labels=labels, metadata_only=True
        )

    async def _read(self, ref: ObjectRef) -> ObjectState:
        return decode_object(await self._cluster.get(ref), self._cluster.name)


def _against(request: ActionRequest, state: ObjectState, before: Survivors) -> str:
    """Return what forbids even the first step, or an empty string."""
    ref = request.ref
    if (ref.group, ref.kind) != (HELM, "HelmRelease"):
        return f"{ref} is no HelmRelease"
    if request.expects.uid and state.uid != request.expects.uid:
        return f"{ref} is another object now (uid changed)"
    if state.deleted_at is not None and not state.suspended:
        return f"{ref} is being deleted without suspension: Helm is uninstalling already"
    if not before.storage:
        return f"no Helm storage of {ref} can be seen: its survival could not be proven"
    return ""


def _is_quiet(state: ObjectState) -> bool:
    """Say whether the controller has seen the suspension.

    A suspended object's observedGeneration need not move (flux.md 5.2: the run returns before it), so what counts is
    that nothing runs any more.
    """
    reconciling = state.condition("Reconciling")
    return reconciling is None or reconciling.status != "True" or not reconciling.message.startswith("Running ")


def _lines(found: Survivors) -> tuple[str, ...]:
    return tuple(f"{name} uid {uid}" for name, uid in sorted({**found.storage, **found.workloads}.items()))


def _name(raw: Json) -> str:
    return str(field(raw, "metadata", "name") or "")


def _uid(raw: Json) -> str:
    return str(field(raw, "metadata", "uid") or "")


PLUGIN = Plugin(
    name="delete-release",
    permissions=(
        Permission(HELM, "helmreleases", ("get", "patch", "delete")),
        Permission(KUSTOMIZE, "kustomizations", ("list",)),
        Permission("", "secrets", ("list",)),
        Permission("apps", "daemonsets", ("list",)),
        Permission("apps", "deployments", ("list",)),
        Permission("apps", "statefulsets", ("list",)),
    ),
    build=DeleteRelease,
)
