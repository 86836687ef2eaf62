"""Who is the root from now on: a cause that came to light above it, or what still fails when the root itself is well.

The incident stays the same one, with an entry that says why. Two open incidents with one cause become the older one.
"""

from dataclasses import replace
from datetime import datetime

from daemon.engine.belong import failed_before
from daemon.engine.graph import LACKING, is_coming, root_of
from daemon.engine.handover import heir_of
from daemon.engine.lifecycle import Trigger, move
from daemon.engine.membership import is_unwell, join, reason_of, release_members
from daemon.engine.rolling import moving_until
from daemon.engine.timeline import amend, remind, tell
from daemon.engine.world import Case, World, elapsed
from daemon.model.incidents import Change, Member, Role
from daemon.model.notices import Reason
from daemon.model.objects import Health
from daemon.model.refs import ObjectRef


def take_over(world: World, case: Case) -> None:
    """Move the incident to a cause that appeared above its root, or into the incident that stands there already."""
    root = case.incident.root
    above = root_of(world, root)
    if above == root or is_coming(world, above) or failed_before(world, root, above):
        return
    other = world.case_of(above)
    heir = heir_of(world, case) if other is not case else None
    if heir is not None:
        _change_root(world, case, heir, f"{root.kind} {root.place} waits for {above} by now, this still fails")
    elif other is not None and other is not case:
        _merge(world, case, other)
    else:
        _change_root(world, case, above, "a cause above it appeared")


def pass_on(world: World, case: Case) -> None:
    """Give the root's place to the next that lacks what the root lacked, or was: one missing thing is one incident."""
    root = case.incident.root
    if any(found.ref == root for found in case.findings) or world.health(root) is Health.FAILED:
        return
    lacking = (m.ref for m in case.incident.dependents if world.fires(m.ref, LACKING))
    behind = {root_of(world, ref) for ref in lacking} - {root}
    heir = min((ref for ref in behind if world.case_of(ref) is case), default=None)
    if heir is not None:
        why = "is gone, and this still needs it" if world.known(root) is None else "lacks nothing any more, this does"
        _change_root(world, case, heir, f"{root.kind} {root.place} {why}")


def reroot(world: World, case: Case) -> None:
    """Give the root's place to what still fails, when the root itself has long been well."""
    root = case.incident.root
    if is_unwell(world, root) or any(found.ref == root for found in case.findings):
        case.root_well_since = None
        return
    if case.root_well_since is None:
        case.root_well_since = world.now
    failing = [m.ref for m in case.incident.dependents if world.health(m.ref) is Health.FAILED]
    if not failing:
        return
    grace = world.limits.level_grace + max(_patience(world, ref) for ref in failing)
    recovered = (member.recovered_at for member in case.incident.members)
    since = max([case.root_well_since, *(at for at in recovered if at is not None)])
    if elapsed(since, world.now) < grace:
        world.after(grace - elapsed(since, world.now), case.incident.id)
        return
    heirs = sorted({root_of(world, ref) for ref in failing} - {root})
    free = [ref for ref in heirs if world.case_of(ref) in (case, None) and _failed_after(world, ref, since)]
    until = moving_until(world, world.objects[free[0]]) if free else None
    if until is not None and until > world.now:
        world.at(until, case.incident.id)
    elif free:
        _change_root(world, case, free[0], f"{root.kind} {root.place} is well, this still fails")


def _merge(world: World, case: Case, other: Case) -> None:
    """Let the older of two incidents with one cause take the younger one in."""
    keep, drop = sorted((case, other), key=lambda each: (each.incident.opened_at, each.incident.id))
    root = other.incident.root
    tell(world, drop, "state", f"the same cause as incident {keep.incident.id}: goes on there")
    move(world, drop, Trigger.MERGE)
    world.active[drop.incident.id] = None
    findings, members = set(drop.findings), drop.incident.members
    release_members(world, drop)
    if drop.announced:
        remind(drop, Reason.RESOLVED)
    keep.findings |= findings
    keep.workloads |= drop.workloads
    for member in members:
        join(world, keep, member.ref, member.parent, Role.RELATED if member.role is Role.RELATED else Role.DEPENDENT)
    amend(
        keep,
        rules=tuple(sorted({*keep.incident.rules, *drop.incident.rules})),
        severity=max(keep.incident.severity, drop.incident.severity),
    )
    if keep.incident.root != root:
        _change_root(world, keep, root, f"incident {drop.incident.id} has the same cause")
    world.touch(keep.incident.id)


def _change_root(world: World, case: Case, root: ObjectRef, why: str) -> None:
    before = case.incident.root
    members = [
        replace(member, role=Role.DEPENDENT if member.role is Role.ROOT else member.role)
        for member in case.incident.members
        if member.ref != root
    ]
    world.membership[root] = case.incident.id
    members = [Member(root, Role.ROOT, world.now, reason_of(world, root)), *members]
    amend(case, root=root, members=tuple(members), summary="", next_step="", runbook="", change=Change())
    case.root_well_since = None
    text = f"root {before.kind} {before.place} → {root.kind} {root.place}: {why}"
    tell(world, case, "rerooted", text, ref=root)
    remind(case, Reason.CAUSE_CHANGED)


def _failed_after(world: World, ref: ObjectRef, since: datetime) -> bool:
    """Say whether an object failed by its own words after the root was well: a source's last try may be long ago."""
    known = world.known(ref)
    if known is None or known.health is not Health.FAILED or known.failed is None:
        return False
    whole = since.replace(microsecond=0)  # as Flux writes its times
    return known.failed.changed_at is None or known.failed.changed_at >= whole


def _patience(world: World, ref: ObjectRef) -> float:
    """Return how long a run of the object may still take: a health check in flight ends at its own time-out."""
    known = world.known(ref)
    return (known.state.timeout or 0.0) + (known.state.retry_interval or 0.0) if known else 0.0
