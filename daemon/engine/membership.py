"""Who is in an incident, who came to it, and who of them is well again.

Membership is sticky: a member stays until the incident ends, so a root that recovers first does not turn its victims
into new incidents. One object is in one open incident at most; another that it also has to do with lists it as related.
"""

from dataclasses import replace

from daemon.engine.cause import workload_line
from daemon.engine.graph import causes_of, downstream
from daemon.engine.handover import relate
from daemon.engine.observe import forget_pods
from daemon.engine.timeline import amend, remind, tell
from daemon.engine.world import Case, World
from daemon.flux.culprit import culprit_of
from daemon.model.findings import Finding, Severity
from daemon.model.incidents import Member, Role
from daemon.model.notices import Reason
from daemon.model.objects import Health
from daemon.model.refs import ObjectRef


def join(world: World, case: Case, ref: ObjectRef, parent: ObjectRef | None, role: Role = Role.DEPENDENT) -> None:
    """Take an object in, or note what it has to do with another incident that it is in."""
    other = world.case_of(ref)
    if other is not None and other is not case:
        relate(world, case, other)
        return
    if role is not Role.RELATED:
        world.membership[ref] = case.incident.id
    members = {member.ref: member for member in case.incident.members}
    known = members.get(ref)
    if known is None:
        member = Member(ref, role, world.now, reason_of(world, ref), parent)
        amend(case, members=(*case.incident.members, member))
        tell(world, case, "joined", f"{ref.kind} {ref.place}: {member.reason}", actor="flux", ref=ref)
        remind(case, Reason.JOINED)
    elif known.role is Role.RELATED and role is not Role.RELATED and ref not in case.workloads:
        back = Member(ref, role, world.now, reason_of(world, ref), parent)
        amend(case, members=tuple({**members, ref: back}.values()))
        tell(world, case, "joined", f"{ref.kind} {ref.place} is back: {back.reason}", actor="flux", ref=ref)
        remind(case, Reason.JOINED)
    elif known.recovered_at is not None and keeps_open(world, known):
        members[ref] = replace(known, recovered_at=None, reason=reason_of(world, ref), parent=parent or known.parent)
        amend(case, members=tuple(members.values()))
    elif parent is not None and known.parent is None and known.role is not Role.ROOT:
        members[ref] = replace(known, parent=parent)
        amend(case, members=tuple(members.values()))


def collect(world: World, case: Case) -> None:
    """Take in everything broken that the root explains, and what members that fail by themselves hold up."""
    strays = (m.ref for m in case.incident.dependents if world.health(m.ref) is Health.FAILED)
    settled = {m.ref for m in case.incident.dependents if m.parent is not None and m.recovered_at is None}
    for origin in (case.incident.root, *(ref for ref in strays if not causes_of(world, ref))):
        for victim, cause in downstream(world, origin):
            if victim not in settled:
                join(world, case, victim, cause)


def mark_recoveries(world: World, case: Case) -> None:
    """Note who is well again or gone, and who came back failing."""
    changed = []
    explains = any(case.incident.root in causes_of(world, member.ref) for member in case.incident.dependents)
    loud = [found for found in findings_of(world, case) if found.severity > Severity.INFO or is_quiet(case)]
    for member in case.incident.members:
        unwell = keeps_open(world, member) or (member.role is Role.ROOT and explains)
        unwell = unwell or any(found.ref == member.ref for found in loud)
        if member.role is not Role.RELATED and member.recovered_at is None and not unwell:
            gone = world.known(member.ref) is None
            word = "is gone" if gone else "is well again"
            tell(world, case, "recovered", f"{member.ref.kind} {member.ref.place} {word}", actor="flux", ref=member.ref)
            changed.append(replace(member, recovered_at=world.now))
            remind(case, Reason.JOINED)
        elif member.role is not Role.RELATED and member.recovered_at is not None and unwell:
            reason = reason_of(world, member.ref)
            text = f"{member.ref.kind} {member.ref.place} is not well again: {reason}"
            tell(world, case, "evidence", text, actor="flux", ref=member.ref)
            changed.append(replace(member, recovered_at=None, reason=reason))
        else:
            changed.append(member)
    if tuple(changed) != case.incident.members:
        amend(case, members=tuple(changed))


def release_members(world: World, case: Case) -> None:
    """Forget which objects belong to an incident that ended."""
    for ref in [ref for ref, incident in world.membership.items() if incident == case.incident.id]:
        del world.membership[ref]
    for watching in world.watchers.values():
        watching.discard(case.incident.id)
    for ref in case.workloads:
        forget_pods(world, ref)
    case.findings.clear()


def findings_of(world: World, case: Case) -> list[Finding]:
    """Return the findings of an incident that still stand, the most severe first."""
    found = [world.findings[each] for each in case.findings if each in world.findings]
    return sorted(found, key=lambda finding: (-finding.severity, finding.ref, finding.test))


def is_quiet(case: Case) -> bool:
    """Say whether an incident only informs."""
    return case.incident.severity is Severity.INFO


def is_unwell(world: World, ref: ObjectRef) -> bool:
    """Say whether a member still has to recover. What is gone, or suspended without having failed, has not.

    A suspended object keeps its last conditions (flux.md 2.1): its word of a failure is no memory of ours.
    """
    known = world.known(ref)
    if known is None:
        return False
    if known.health is Health.SUSPENDED:
        return known.state.ready is not None and known.state.ready.status == "False"
    return known.health is not Health.CURRENT


def keeps_open(world: World, member: Member) -> bool:
    """Say whether a member is not well, or no longer: one that recovered and is merely looked at again still is."""
    return is_unwell(world, member.ref) and not (
        member.recovered_at is not None and world.health(member.ref) in (Health.IN_PROGRESS, Health.UNKNOWN)
    )


def reason_of(world: World, ref: ObjectRef) -> str:
    """Return why a member is not well, in a few words."""
    known = world.known(ref)
    if known is None:
        return Health.NOT_FOUND.value
    condition = known.failed or known.state.ready
    if known.state.replicas is not None:
        return workload_line(known.state)
    if condition is None or condition.status == "True":
        return known.health.value
    return f"{condition.reason}: {culprit_of(condition.message)}"[:200]
