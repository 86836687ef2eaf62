"""The recovery contract: each milestone against the World, expected time against actual.

Probes here read only what is watched. What cannot be seen is skipped, and skipped is never passed.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from daemon.engine.health import is_reconciling
from daemon.engine.world import Case, World, elapsed
from daemon.flux.kinds import group_for_kind, kind_of, resource_of
from daemon.model.objects import Health
from daemon.model.refs import ObjectRef
from daemon.model.remedies import Check, CheckState, Milestone, Remediation
from daemon.rules.parameter import EVERY, whole
from daemon.rules.procedure import CheckSpec

Seen = tuple[bool | None, str]
"""Whether a check holds (None: it cannot be seen), and what was seen."""
WELL = frozenset({Health.CURRENT, Health.NOT_FOUND, Health.SUSPENDED})
"""States in which a dependent is not held up any more."""


def bind(world: World, root: ObjectRef | None, spec: CheckSpec) -> Check:
    """Bind a check of a procedure to this cluster; one that names no object is about the root."""
    kind, name = spec.params.get("kind", ""), spec.params.get("name", "")
    ref = root
    if kind or spec.probe in ("dependents", "release"):
        ref = None
    if kind and name and not _is_glob(name):
        ref = ObjectRef(world.limits.cluster, group_for_kind(kind), kind, spec.params.get("namespace", ""), name)
    text = spec.text or f"{spec.probe} {ref or spec.params.get('name') or root or ''}".strip()
    return Check(spec.id, spec.probe, ref, text, spec.within, spec.hold, spec.optional, dict(spec.params))


def review(world: World, case: Case, plan: Remediation, begun: datetime) -> tuple[Milestone, ...]:
    """Return every milestone as it stands now, counted from the moment the fix took effect."""
    return tuple(_review(world, case, milestone, begun) for milestone in plan.milestones)


def deadline_of(world: World, check: Check, begun: datetime) -> datetime:
    """Return by when a check must hold; a health check in flight may end at its own time-out first (flux.md 0.3, 2)."""
    known = world.known(check.ref) if check.ref else None
    allowance = (known.state.timeout or 0.0) if known is not None and is_reconciling(known.state) else 0.0
    return begun + timedelta(seconds=check.within + allowance)


def is_met(milestones: tuple[Milestone, ...]) -> bool:
    """Say whether everything that is required was seen; a skipped one that is not optional is not."""
    return all(
        milestone.state is CheckState.MET or (milestone.check.optional and milestone.state is CheckState.SKIPPED)
        for milestone in milestones
    )


def probe(world: World, case: Case | None, check: Check) -> Seen:
    """Return whether a check holds (None: it cannot be seen) and what was seen."""
    kind = check.params.get("kind", "")
    if check.ref is not None and not _visible(world, check.ref):
        return None, f"{check.ref.kind} is not watched"
    if check.ref is None and kind and not _is_watched(world, group_for_kind(kind), kind):
        return None, f"{kind} is not watched"
    known = PROBES.get(check.probe)
    return known(world, case, check) if known is not None else (None, f"probe {check.probe} is not known")


def _review(world: World, case: Case, milestone: Milestone, begun: datetime) -> Milestone:
    held, seen = probe(world, case, milestone.check)
    if held is None:
        return replace(milestone, state=CheckState.SKIPPED, seen=seen, held_since=None)
    deadline = deadline_of(world, milestone.check, begun)
    if not held:
        missed = world.now >= deadline
        state = CheckState.MISSED if missed else CheckState.PENDING
        return replace(milestone, state=state, seen=seen, met_at=None, held_since=None)
    if milestone.state is CheckState.MET:
        return replace(milestone, seen=seen)
    since = milestone.held_since or world.now
    if elapsed(since, world.now) < milestone.check.hold:
        return replace(milestone, state=CheckState.PENDING, seen=seen, held_since=since)
    return replace(milestone, state=CheckState.MET, seen=seen, met_at=since, held_since=since, late=since > deadline)


def _absent(world: World, _case: Case | None, check: Check) -> Seen:
    if check.ref is None:
        return False, "it names no single object, so none can be seen to be gone"
    known = world.known(check.ref)
    return known is None, f"{check.ref} {'is not there' if known is None else 'is there'}"


def _exists(world: World, _case: Case | None, check: Check) -> Seen:
    """At least so many objects of the kind, by a glob over namespace and name."""
    wanted = whole(check.params.get("at-least", "1"))
    if wanted is None:
        return False, f"at-least is {check.params['at-least']!r}, and no number from 1 on: mend the procedure"
    kind, namespace, name = (check.params.get(key, "") for key in ("kind", "namespace", "name"))
    found = [
        ref
        for ref in world.objects
        if ref.kind == kind and fnmatchcase(ref.namespace, namespace or "*") and fnmatchcase(ref.name, name or "*")
    ]
    return len(found) >= wanted, f"{len(found)} of at least {wanted} there"


def _workload(world: World, _case: Case | None, check: Check) -> Seen:
    known = world.known(check.ref) if check.ref else None
    if known is None or known.state.replicas is None:
        return (None if check.optional else False), f"{check.ref} is not there"
    replicas = known.state.replicas
    ready = check.params.get("ready", EVERY)
    wanted = replicas.desired if ready == EVERY else whole(ready)
    if wanted is None:
        return False, f"ready is {ready!r}, neither all nor a number from 1 on: mend the procedure"
    enough = replicas.complete if ready == EVERY else replicas.ready >= wanted
    return enough, f"{replicas.ready}/{replicas.desired} ready, {replicas.updated} updated"


def _condition(world: World, _case: Case | None, check: Check) -> Seen:
    """A condition has a status (and reason) at the present generation."""
    known = world.known(check.ref) if check.ref else None
    if known is None:
        return (None if check.optional else False), f"{check.ref} is not there"
    kind, status = check.params.get("type", "Ready"), check.params.get("status", "True")
    reason = check.params.get("reason", "")
    found = known.state.condition(kind)
    if found is None:
        return False, f"no condition {kind}"
    said = f"{kind}={found.status} {found.reason}"
    if kind == "Ready" and status == "True" and known.actual is not Health.CURRENT:
        return False, f"{said}, but {known.actual.value}"
    return found.status == status and reason in ("", found.reason), said


def _dependents(world: World, case: Case | None, _check: Check) -> Seen:
    refs = [member.ref for member in case.incident.dependents] if case is not None else []
    well = [ref for ref in refs if world.health(ref) in WELL]
    return len(well) == len(refs), f"{len(well)} of {len(refs)} dependents well"


def _release(world: World, case: Case | None, check: Check) -> Seen:
    """The Helm release is in storage and its newest revision has the wanted status."""
    namespace, name = check.params.get("namespace", ""), check.params.get("name", "")
    if not name and case is not None:
        known = world.known(case.incident.root)
        helm = known.state.helm if known is not None else None
        namespace, name = (helm.storage_namespace, helm.release) if helm is not None else ("", "")
    if not world.releases:
        return None, "Helm storage is not watched"
    kept = world.releases.get((namespace, name), {})
    if not kept:
        return False, f"Helm release {namespace}/{name} is not in storage"
    newest = kept[max(kept)]
    wanted = check.params.get("status", "deployed")
    return newest.status == wanted, f"{name}.v{newest.revision} {newest.status} (written by {newest.writer or '?'})"


def _visible(world: World, ref: ObjectRef) -> bool:
    return ref in world.objects or _is_watched(world, ref.group, ref.kind)


def _is_watched(world: World, group: str, kind: str) -> bool:
    known = kind_of(group, kind)
    return known is not None and resource_of(known) in world.synced


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


PROBES: dict[str, Callable[[World, Case | None, Check], Seen]] = {
    "absent": _absent,
    "exists": _exists,
    "workload": _workload,
    "condition": _condition,
    "dependents": _dependents,
    "release": _release,
}
