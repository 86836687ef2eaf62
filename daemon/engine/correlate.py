"""Which incident a finding belongs to, who else is in it, and whether it is over.

Membership is sticky: a finding keeps its incident until that ends, so a root that recovers first does not turn its
victims into new incidents. One object is in one open incident at most. A root that recovers while a member still
fails, after its time, gives its place to that member's root: the same incident, with an entry.
"""

import re
from dataclasses import fields, replace
from datetime import datetime, timedelta

from daemon.engine.belong import failed_before, incident_for, is_apart
from daemon.engine.cause import cause_of, change_of, is_poorer, workload_line
from daemon.engine.graph import BROKEN, causes_of, downstream, is_coming, moving_until, root_of
from daemon.engine.handover import hand_over, heir_of, part, relate
from daemon.engine.lifecycle import Trigger, move
from daemon.engine.lineage import below, blamed_refs
from daemon.engine.observe import forget_pods
from daemon.engine.release import workloads_of
from daemon.engine.timeline import amend, remind, tell, tell_once
from daemon.engine.world import Case, World, elapsed
from daemon.flux.culprit import culprit_of, fingerprint
from daemon.model.effects import Inspect
from daemon.model.findings import Finding, Severity
from daemon.model.incidents import Change, Incident, Member, Role, State
from daemon.model.notices import Reason
from daemon.model.objects import Health
from daemon.model.refs import IncidentId, ObjectRef, derived_id

TWO_OWNERS = "two-owners"
COUNTS = re.compile(r"\d+/\d+")
MOST_DOUBLED = 4
"""How often the time doubles that a flapping incident must stay well: 30 s become eight minutes, and no more."""
POLLED = 40.0
"""Seconds within which whoever waits for a dependency says so: one of Flux's 30 s polls and a run."""
INSPECT_EVERY = 30.0
"""Seconds between two looks at the pods of one workload: a list of at most 50 pods, while it is down."""


def assign(world: World, finding: Finding) -> None:
    """Give a finding that began to fire to its incident: the one its object is in, its root's, or a new one."""
    case = world.case_of(finding.ref) or incident_for(world, finding)
    before = case if case is not None and is_apart(world, case, finding) else None
    if before is not None:
        case = part(world, before, finding.ref)
    if case is None:
        case = _reopen(world, finding) or _open(world, finding)
    if before is not None:
        relate(world, before, case)
        world.touch(before.incident.id)
    _attach(world, case, finding)
    world.touch(case.incident.id)


def refresh(world: World, case: Case) -> None:
    """Bring an open incident in line with the world: root, members, workloads, cause, and whether it is over."""
    if not case.open:
        return
    case.findings = {found for found in case.findings if found in world.findings}
    if _take_over(world, case):
        return
    for finding in _findings(world, case):
        if finding.ref != case.incident.root and is_apart(world, case, finding):
            assign(world, finding)  # it failed of something else before, and of its own by now
    _collect(world, case)
    for ref, other in hand_over(world, case):
        _join(world, other, ref, None)
        world.touch(other.incident.id)
    _mark_recoveries(world, case)
    _hold_workloads(world, case)
    _reroot(world, case)
    _sharpen(world, case)
    settle_state(world, case)


def settle_state(world: World, case: Case) -> None:
    """Move the incident if it became well, failed again, or stayed well long enough."""
    trouble = trouble_of(world, case)
    state = case.incident.state
    if trouble:
        case.well_since = None
        if state is State.RECOVERING:
            move(world, case, Trigger.UNWELL)
            amend(case, flaps=case.incident.flaps + 1)
            tell(world, case, "evidence", trouble)
        return
    if case.well_since is None:
        case.well_since = world.now
        world.after(_stays_well(world, case), case.incident.id)
    if state in (State.OPEN, State.ACKNOWLEDGED):
        move(world, case, Trigger.WELL)
    if case.incident.state is State.RECOVERING and _held(world, case) and not _at_work(world, case):
        end(world, case, Trigger.HELD)


def end(world: World, case: Case, trigger: Trigger, *, actor: str = "fluxmedic") -> None:
    """Resolve an incident and let its members go."""
    if not move(world, case, trigger, actor=actor):
        return
    release_members(world, case)
    if case.announced:
        remind(case, Reason.RESOLVED)


def release_members(world: World, case: Case) -> None:
    """Forget which objects belong to an incident that ended."""
    for ref in [ref for ref, incident in world.membership.items() if incident == case.incident.id]:
        del world.membership[ref]
    for watching in world.watchers.values():
        watching.discard(case.incident.id)
    for ref in case.workloads:
        forget_pods(world, ref)
    case.findings.clear()


def trouble_of(world: World, case: Case) -> str:
    """Return what still keeps an incident from being over, in words; empty when nothing does."""
    loud = [finding for finding in _findings(world, case) if finding.severity > Severity.INFO or _is_quiet(case)]
    if loud:
        return f"{loud[0].ref}: {loud[0].summary or loud[0].test}"
    for member in case.incident.members:
        if member.role is not Role.RELATED and _keeps_open(world, member):
            return f"{member.ref} is {world.health(member.ref).value}"
    return _workload_trouble(world, case)


def _open(world: World, finding: Finding) -> Case:
    root = root_of(world, finding.ref)
    incident = Incident(
        id=IncidentId(derived_id(root, finding.test, world.now.isoformat())),
        root=root,
        cause="",
        severity=finding.severity,
        state=State.OPEN,
        opened_at=world.now,
        updated_at=world.now,
        members=(Member(root, Role.ROOT, world.now),),
    )
    case = Case(incident)
    world.cases[incident.id] = case
    world.membership[root] = incident.id
    wait = max(world.limits.group_wait, POLLED if _is_told_below(world, root) else 0.0)
    case.announce_at = world.now + timedelta(seconds=wait)
    world.at(case.announce_at, incident.id)
    tell(world, case, "opened", f"{root.kind} {root.place} is the root", actor=f"rule:{finding.test}", ref=root)
    world.counts["incidents_opened"] += 1
    return case


def _is_told_below(world: World, root: ObjectRef) -> bool:
    """Say whether people were told already of something that depends on this root: it may turn out to be its victim."""
    near = world.dependents.get(root, ())
    return any(case.announced and case.incident.root in near for case in world.open_cases())


def _reopen(world: World, finding: Finding) -> Case | None:
    """Return the resolved incident of the same root, open again, if that was not long ago."""
    root = root_of(world, finding.ref)
    recent = [
        case
        for case in world.cases.values()
        if not case.open
        and (finding.severity > Severity.INFO or _is_quiet(case))  # what only informs brings no failure back
        and world.case_of(case.incident.root) is None
        and root in (case.incident.root, *(member.ref for member in case.incident.dependents))
        and elapsed(case.ended_at, world.now) <= world.limits.reopen_within
    ]
    if not recent:
        return None
    case = max(recent, key=lambda each: (each.ended_at or world.now, each.incident.id))
    move(world, case, Trigger.FAILS_AGAIN)
    amend(case, flaps=case.incident.flaps + 1)
    case.well_since = case.root_well_since = None
    elsewhere = {member.ref for member in case.incident.members if world.case_of(member.ref) is not None}
    members = tuple(replace(m, role=Role.RELATED) if m.ref in elsewhere else m for m in case.incident.members)
    amend(case, members=members)
    for member in members:
        if member.role is not Role.RELATED:
            world.membership[member.ref] = case.incident.id
    if case.announced:
        remind(case, Reason.REOPENED)
    return case


def _attach(world: World, case: Case, finding: Finding) -> None:
    """Take a finding in: its name, its severity, and its object as a member."""
    case.findings.add(finding.fingerprint)
    incident = case.incident
    rules = tuple(sorted({*incident.rules, finding.test}))
    louder = finding.severity > incident.severity
    amend(case, rules=rules, severity=max(incident.severity, finding.severity))
    if louder and case.announced:
        remind(case, Reason.ESCALATED)
    elif louder:
        case.announce_at = world.now + timedelta(seconds=world.limits.group_wait)
        world.at(case.announce_at, incident.id)
    if world.firing(finding.ref)[:1] == [finding]:  # of several tests that say the same of one object, the best is told
        tell_once(world, case, "evidence", f"{finding.ref}: {finding.summary}", f"{finding.test}@{finding.ref}")
    if finding.ref != incident.root:
        _join(world, case, finding.ref, None)


def _join(world: World, case: Case, ref: ObjectRef, parent: ObjectRef | None, role: Role = Role.DEPENDENT) -> None:
    other = world.case_of(ref)
    if other is not None and other is not case:
        relate(world, case, other)
        if ref == other.incident.root:
            world.touch(other.incident.id)  # its cause has come to light, over however many edges
        return
    if role is not Role.RELATED:
        world.membership[ref] = case.incident.id
    members = {member.ref: member for member in case.incident.members}
    known = members.get(ref)
    if known is None:
        member = Member(ref, role, world.now, _reason(world, ref), parent)
        amend(case, members=(*case.incident.members, member))
        tell(world, case, "joined", f"{ref.kind} {ref.place}: {member.reason}", actor="flux", ref=ref)
        remind(case, Reason.JOINED)
    elif known.recovered_at is not None and _keeps_open(world, known):
        members[ref] = replace(known, recovered_at=None, reason=_reason(world, ref), parent=parent or known.parent)
        amend(case, members=tuple(members.values()))
    elif parent is not None and known.parent is None and known.role is not Role.ROOT:
        members[ref] = replace(known, parent=parent)
        amend(case, members=tuple(members.values()))


def _collect(world: World, case: Case) -> None:
    """Take in everything broken that the root explains, and what members that fail by themselves hold up."""
    strays = (m.ref for m in case.incident.dependents if world.health(m.ref) is Health.FAILED)
    settled = {m.ref for m in case.incident.dependents if m.parent is not None and m.recovered_at is None}
    for origin in (case.incident.root, *(ref for ref in strays if not causes_of(world, ref))):
        for victim, cause in downstream(world, origin):
            if victim not in settled:
                _join(world, case, victim, cause)


def _mark_recoveries(world: World, case: Case) -> None:
    changed = []
    explains = any(case.incident.root in causes_of(world, member.ref) for member in case.incident.dependents)
    loud = [found for found in _findings(world, case) if found.severity > Severity.INFO or _is_quiet(case)]
    for member in case.incident.members:
        unwell = _keeps_open(world, member) or (member.role is Role.ROOT and explains)
        unwell = unwell or any(found.ref == member.ref for found in loud)
        if member.role is not Role.RELATED and member.recovered_at is None and not unwell:
            gone = world.known(member.ref) is None
            word = "is gone" if gone else "is well again"
            tell(world, case, "recovered", f"{member.ref.kind} {member.ref.place} {word}", actor="flux", ref=member.ref)
            changed.append(replace(member, recovered_at=world.now))
            remind(case, Reason.JOINED)
        elif member.role is not Role.RELATED and member.recovered_at is not None and unwell:
            changed.append(replace(member, recovered_at=None, reason=_reason(world, member.ref)))
        else:
            changed.append(member)
    if tuple(changed) != case.incident.members:
        amend(case, members=tuple(changed))


def _take_over(world: World, case: Case) -> bool:
    """Move the incident to a cause that appeared above its root; say whether it went into another incident."""
    root = case.incident.root
    above = root_of(world, root)
    if above == root or world.health(root) is Health.CURRENT or is_coming(world, above):
        return False
    if failed_before(world, root, above):
        return False
    other = world.case_of(above)
    heir = heir_of(world, case, above) if other is not case else None
    if heir is not None:
        _change_root(world, case, heir, f"{root.kind} {root.place} waits for {above} by now, this still fails")
        return False
    if other is not None and other is not case:
        _merge(world, case, other)
        return True
    _change_root(world, case, above, "a cause above it appeared")
    return False


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
        _join(world, keep, member.ref, member.parent, Role.RELATED if member.role is Role.RELATED else Role.DEPENDENT)
    amend(
        keep,
        rules=tuple(sorted({*keep.incident.rules, *drop.incident.rules})),
        severity=max(keep.incident.severity, drop.incident.severity),
    )
    if keep.incident.root != root:
        _change_root(world, keep, root, f"incident {drop.incident.id} has the same cause")
    world.touch(keep.incident.id)


def _reroot(world: World, case: Case) -> None:
    """Give the root's place to what still fails, when the root itself has long been well."""
    root = case.incident.root
    if _is_unwell(world, root) or any(found.ref == root for found in case.findings):
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


def _failed_after(world: World, ref: ObjectRef, since: datetime) -> bool:
    """Say whether an object failed by its own words after the root was well: a source's last try may be long ago."""
    known = world.known(ref)
    if known is None or known.health is not Health.FAILED or known.failed is None:
        return False
    whole = since.replace(microsecond=0)  # as Flux writes its times
    return known.failed.changed_at is None or known.failed.changed_at >= whole


def _change_root(world: World, case: Case, root: ObjectRef, why: str) -> None:
    before = case.incident.root
    members = [
        replace(member, role=Role.DEPENDENT if member.role is Role.ROOT else member.role)
        for member in case.incident.members
        if member.ref != root
    ]
    world.membership[root] = case.incident.id
    members = [Member(root, Role.ROOT, world.now, _reason(world, root)), *members]
    amend(case, root=root, members=tuple(members), summary="", next_step="", runbook="", change=Change())
    case.root_well_since = None
    text = f"root {before.kind} {before.place} → {root.kind} {root.place}: {why}"
    tell(world, case, "rerooted", text, ref=root)
    remind(case, Reason.CAUSE_CHANGED)


def _hold_workloads(world: World, case: Case) -> None:
    """Remember the workloads that are down with this incident: it is not over before they are well."""
    for member in case.incident.members:
        known = world.known(member.ref)
        if known is None or known.health not in BROKEN:
            continue
        for ref in sorted({*blamed_refs(world, known), *workloads_of(world, known.state)}):
            other = world.known(ref)
            if other is None or other.state.replicas is None or other.state.replicas.complete:
                continue
            if ref not in case.workloads:
                case.workloads.add(ref)
                _join(world, case, ref, member.ref, Role.RELATED)
    for ref in sorted(case.workloads):
        world.watchers[ref].add(case.incident.id)  # also what it took over, or has held since before it was reopened
        _inspect(world, case, ref)


def _inspect(world: World, case: Case, ref: ObjectRef) -> None:
    """Ask for the pods of a workload that is down, now and then: their trouble is the cause that people need."""
    known = world.known(ref)
    if known is None or known.state.replicas is None or known.state.replicas.complete or not known.state.selector:
        return
    last = world.inspected.get(ref)
    if last is not None and elapsed(last, world.now) < INSPECT_EVERY:
        return
    world.inspected[ref] = world.now
    world.outgoing.append(Inspect(ref, tuple(sorted(known.state.selector.items())), below(world, ref)))
    world.after(INSPECT_EVERY, case.incident.id)


def _workload_trouble(world: World, case: Case) -> str:
    for ref in sorted(case.workloads):
        known = world.known(ref)
        if known is None:
            if _destroyed(case) or _is_wanted(world, ref):
                return f"{ref.kind} {ref.place} failed with this incident and is gone"
            continue
        if known.state.replicas is not None and not known.state.replicas.complete:
            return workload_line(known.state)
    return ""


def _is_wanted(world: World, ref: ObjectRef) -> bool:
    """Say whether an inventory still has an object that is gone: Git did not let it go."""
    return any(ref in world.objects[parent].state.contains for parent in world.parents.get(ref, ()))


def _destroyed(case: Case) -> bool:
    """Say whether a workload that is gone was not Flux's to remove: its release had an owner besides Flux."""
    return TWO_OWNERS in case.incident.rules


def _sharpen(world: World, case: Case) -> None:
    """Keep the best known cause, what changed, and what a person should do, up to date."""
    incident = case.incident
    cause = cause_of(world, case)
    known, told = _gist(incident.cause), _gist(cause)
    if cause and not known.startswith(told) and not is_poorer(told, known):
        tell_once(world, case, "cause", cause, _gist(cause), ref=incident.root)
        remind(case, Reason.JOINED)
        amend(case, cause=cause)
    amend(case, change=_changed(incident.change, change_of(world, incident.root)))
    findings = world.firing(incident.root) or ([] if incident.summary else _findings(world, case))
    if findings:
        best = findings[0]
        next_step = best.next_step or incident.next_step
        amend(case, summary=best.summary, next_step=next_step, runbook=best.runbook or incident.runbook)
    trouble = _workload_trouble(world, case)
    held = [member.ref for member in incident.members if member.role is not Role.RELATED]
    if trouble and not any(_is_unwell(world, ref) for ref in held):
        tell_once(world, case, "evidence", f"all of Flux is well, but {trouble}", "still down")


def _changed(known: Change, now: Change) -> Change:
    """Keep what had changed when it broke: later pushes, and the fix, are not what broke it. Only gaps are filled."""
    if not known.failing:
        return now
    return Change(**{field.name: getattr(known, field.name) or getattr(now, field.name) for field in fields(Change)})


def _gist(cause: str) -> str:
    """Return a cause without what changes while it stays the same: times, ids, how many pods are ready by now."""
    return COUNTS.sub("n/n", fingerprint(cause))


def _findings(world: World, case: Case) -> list[Finding]:
    found = [world.findings[each] for each in case.findings if each in world.findings]
    return sorted(found, key=lambda finding: (-finding.severity, finding.ref, finding.test))


def _is_quiet(case: Case) -> bool:
    return case.incident.severity is Severity.INFO


def _is_unwell(world: World, ref: ObjectRef) -> bool:
    """Say whether a member still has to recover. What is gone, or suspended without having failed, has not."""
    known = world.known(ref)
    if known is None:
        return False
    return known.health not in (Health.CURRENT, Health.SUSPENDED)


def _keeps_open(world: World, member: Member) -> bool:
    """Say whether a member is not well, or no longer: one that recovered and is merely looked at again still is."""
    return _is_unwell(world, member.ref) and not (
        member.recovered_at is not None and world.health(member.ref) in (Health.IN_PROGRESS, Health.UNKNOWN)
    )


def _at_work(world: World, case: Case) -> bool:
    """Say whether a run of a member is still under way: nothing ends before its outcome is known."""
    return any(_is_unwell(world, member.ref) for member in case.incident.members if member.role is not Role.RELATED)


def _held(world: World, case: Case) -> bool:
    return elapsed(case.well_since, world.now) >= _stays_well(world, case)


def _stays_well(world: World, case: Case) -> float:
    """Return how long an incident must stay well: twice as long for each time that it did not, within reason."""
    return float(world.limits.resolve_after * 2 ** min(case.incident.flaps, MOST_DOUBLED))


def _patience(world: World, ref: ObjectRef) -> float:
    """Return how long a run of the object may still take: a health check in flight ends at its own time-out."""
    known = world.known(ref)
    return (known.state.timeout or 0.0) + (known.state.retry_interval or 0.0) if known else 0.0


def _reason(world: World, ref: ObjectRef) -> str:
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
