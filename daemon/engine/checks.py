"""The recovery contract: each milestone against the World, expected time against actual.

Probes here read only what is watched. What cannot be seen is skipped, and skipped is never passed.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.engine.health import is_reconciling
from daemon.engine.world import Case, World
from daemon.flux.kinds import kind_of, resource_of
from daemon.model.objects import Health
from daemon.model.refs import ObjectRef
from daemon.model.remedies import Check, CheckState, Milestone, Remediation

DEPLOYED = "deployed"

Seen = tuple[bool | None, str]
"""Whether a check holds (None: it cannot be seen), and what was seen."""


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


def _review(world: World, case: Case, milestone: Milestone, begun: datetime) -> Milestone:
    held, seen = _probe(world, case, milestone.check)
    if held is None:
        return replace(milestone, state=CheckState.SKIPPED, seen=seen)
    deadline = deadline_of(world, milestone.check, begun)
    if held:
        if milestone.state is CheckState.MET:
            return replace(milestone, seen=seen)
        return replace(milestone, state=CheckState.MET, seen=seen, met_at=world.now, late=world.now > deadline)
    missed = world.now >= deadline
    return replace(milestone, state=CheckState.MISSED if missed else CheckState.PENDING, seen=seen, met_at=None)


def _probe(world: World, case: Case, check: Check) -> Seen:
    """Return whether a check holds (None: cannot be seen) and what was seen."""
    if check.ref is not None and not _visible(world, check.ref):
        return None, f"{check.ref.kind} is not watched"
    probe = PROBES.get(check.probe)
    return probe(world, case, check) if probe is not None else (None, f"probe {check.probe} is not known")


def _absent(world: World, _case: Case, check: Check) -> Seen:
    known = world.known(check.ref) if check.ref else None
    return known is None, f"{check.ref} {'is not there' if known is None else 'is there'}"


def _exists(world: World, _case: Case, check: Check) -> Seen:
    known = world.known(check.ref) if check.ref else None
    return known is not None, f"{check.ref} {'is there' if known else 'is not there'}"


def _workload(world: World, _case: Case, check: Check) -> Seen:
    known = world.known(check.ref) if check.ref else None
    if known is None or known.state.replicas is None:
        return False, f"{check.ref} is not there"
    replicas = known.state.replicas
    wanted = check.params.get("ready", "all")
    enough = replicas.complete if wanted == "all" else replicas.ready >= int(wanted)
    return enough, f"{replicas.ready}/{replicas.desired} ready, {replicas.updated} updated"


def _condition(world: World, _case: Case, check: Check) -> Seen:
    ref = check.ref
    known = world.known(ref) if ref else None
    if known is None:
        return False, f"{ref} is not there"
    ready = known.state.ready
    said = f"Ready={ready.status} {ready.reason}" if ready else "no conditions"
    return known.actual is Health.CURRENT, said


def _dependents(world: World, case: Case, _check: Check) -> Seen:
    refs = [member.ref for member in case.incident.dependents]
    well = [ref for ref in refs if world.health(ref) in (Health.CURRENT, Health.NOT_FOUND, Health.SUSPENDED)]
    return len(well) == len(refs), f"{len(well)} of {len(refs)} dependents well"


def _release(world: World, _case: Case, check: Check) -> Seen:
    """The Helm release is in storage and its newest revision is deployed."""
    namespace, name = check.params.get("namespace", ""), check.params.get("name", "")
    if not world.releases:
        return None, "Helm storage is not watched"
    kept = world.releases.get((namespace, name), {})
    if not kept:
        return False, f"Helm release {namespace}/{name} is not in storage"
    newest = kept[max(kept)]
    return newest.status == DEPLOYED, f"{name}.v{newest.revision} {newest.status} (written by {newest.writer or '?'})"


def _visible(world: World, ref: ObjectRef) -> bool:
    kind = kind_of(ref.group, ref.kind)
    return ref in world.objects or (kind is not None and resource_of(kind) in world.synced)


PROBES: dict[str, Callable[[World, Case, Check], Seen]] = {
    "absent": _absent,
    "exists": _exists,
    "workload": _workload,
    "condition": _condition,
    "dependents": _dependents,
    "release": _release,
}
