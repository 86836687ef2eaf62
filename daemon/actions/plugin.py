"""What an action file exports, and the small steps every action is made of.

Limit: nothing here decides whether an action may run; that was asked of every guard before the request was made.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.flux.decode import decode_object
from daemon.model.errors import ClusterError, Conflict, Forbidden, Gone, Invalid, NotFound, Unreachable
from daemon.model.objects import ObjectState
from daemon.model.ports import Action, Clock, Cluster, Json
from daemon.model.refs import ObjectRef
from daemon.model.remedies import ActionRequest, ActionResult, Outcome

POLL = 1.0
"""Seconds between two looks at one object: an action waits for seconds to minutes, one read a second is polite."""
TRIES = 3
"""Writes at most when only the version moved meanwhile, as a controller's status does (fault 101)."""
OWNER_ANNOTATION = "fluxmedic.dev/request"
"""Left on what we changed, with the request's token: so a lost outcome can be looked up."""
REQUESTED = "reconcile.fluxcd.io/requestedAt"


@dataclass(frozen=True, slots=True)
class Permission:
    """One right that an action needs."""

    group: str
    resource: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plugin:
    """One action: its name, its rights, and how it is built."""

    name: str
    permissions: tuple[Permission, ...]
    build: Callable[[Cluster, Clock], Action]


def refused(text: str, *evidence: str) -> ActionResult:
    """Return a refusal: nothing was written, or what was written is safe to leave."""
    return ActionResult(Outcome.REFUSED, text, evidence)


def failed(text: str, *evidence: str) -> ActionResult:
    """Return a failure whose extent is known."""
    return ActionResult(Outcome.FAILED, text, evidence)


def changed(text: str, *evidence: str) -> ActionResult:
    """Return a success."""
    return ActionResult(Outcome.CHANGED, text, evidence)


def unchanged(text: str, *evidence: str) -> ActionResult:
    """Return that nothing had to be, or was, done."""
    return ActionResult(Outcome.UNCHANGED, text, evidence)


def not_done(text: str, *evidence: str) -> ActionResult:
    """Return that a lost request never took effect."""
    return ActionResult(Outcome.NOT_DONE, text, evidence)


def unknown(text: str, *evidence: str) -> ActionResult:
    """Return that a write may or may not have happened."""
    return ActionResult(Outcome.UNKNOWN, text, evidence)


def answer_of(error: ClusterError, what: str) -> ActionResult:
    """Return what a refused or lost write means: a no is a no; silence leaves the outcome unknown."""
    if isinstance(error, Conflict):
        return refused(f"{what}: the object changed meanwhile; this write was not made")
    if isinstance(error, Forbidden | Invalid | NotFound | Gone):
        return failed(f"{what}: {error}")
    return unknown(f"{what}: no answer ({error}); the cluster will be asked")


async def wait_for(
    clock: Clock, deadline: datetime | None, look: Callable[[], Awaitable[str]], *, poll: float = POLL
) -> str:
    """Ask `look` until it answers "" (done) or the deadline passes; return what it said last, "" when done.

    An API server that is silent for a while is asked again: looking changes nothing.
    """
    while True:
        try:
            said = await look()
        except Unreachable as error:
            said = str(error)
        if not said or (deadline is not None and clock.now() >= deadline):
            return said
        await clock.sleep(poll)


def against(request: ActionRequest, state: ObjectState) -> str:
    """Return in what the object is no longer what the request expects; empty when it is, or when we changed it."""
    expects, ref = request.expects, request.ref
    if expects.uid and state.uid != expects.uid:
        return f"{ref} is another object now (uid changed)"
    if state.annotations.get(OWNER_ANNOTATION) == request.token:
        return ""
    if expects.generation is not None and state.generation != expects.generation:
        return f"{ref} was changed since the plan was made (generation {expects.generation} is now {state.generation})"
    if expects.resource_version and state.resource_version != expects.resource_version:
        return f"{ref} was written since the plan was made (resource version changed)"
    return ""


async def read(cluster: Cluster, ref: ObjectRef) -> ObjectState:
    """Return an object as it is now. Raises ClusterError."""
    return decode_object(await cluster.get(ref), cluster.name)


async def patch_as_judged(
    cluster: Cluster, judged: ObjectState, annotations: Mapping[str, str], spec: Json | None = None, *, dry_run: bool
) -> None:
    """Patch an object by uid and version; read it again when only its status moved meanwhile.

    Raises Conflict when it is another object, when its spec is no longer what was judged, or after `TRIES` writes.
    """
    state, conflicts = judged, 0
    while True:
        metadata = {"uid": state.uid, "resourceVersion": state.resource_version, "annotations": dict(annotations)}
        try:
            await cluster.patch(state.ref, {"metadata": metadata, **({"spec": spec} if spec else {})}, dry_run=dry_run)
        except Conflict:
            conflicts += 1
            state = await read(cluster, judged.ref)
            if conflicts == TRIES or (state.uid, state.generation) != (judged.uid, judged.generation):
                raise
        else:
            return


def field(raw: Json, *path: str) -> object:
    """Return a nested field, or None."""
    value: object = raw
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def token_of(raw: Json, annotation: str) -> str:
    """Return the value of an annotation, or an empty string."""
    value = field(raw, "metadata", "annotations", annotation)
    return value if isinstance(value, str) else ""
