"""Which incident a finding belongs to, what is told of it, and whether it is over.

A finding opens an incident at its root, joins the one that its root is in, or brings back one that ended not long ago.
Who else is in it: `membership`; who is its root later: `succession`; what is down with it: `downed`.
"""

import re
from dataclasses import fields, replace
from datetime import timedelta

from daemon.engine.belong import incident_for, is_apart
from daemon.engine.cause import cause_of, change_of, is_poorer
from daemon.engine.downed import hold_workloads, workload_trouble
from daemon.engine.graph import root_of
from daemon.engine.handover import hand_over, part, relate
from daemon.engine.lifecycle import Trigger, move
from daemon.engine.membership import (
    collect,
    findings_of,
    is_quiet,
    is_unwell,
    join,
    keeps_open,
    mark_recoveries,
    release_members,
)
from daemon.engine.succession import pass_on, reroot, take_over
from daemon.engine.timeline import amend, remind, tell, tell_once
from daemon.engine.world import Case, World, elapsed
from daemon.flux.culprit import fingerprint
from daemon.model.findings import Finding, Severity
from daemon.model.incidents import Change, Incident, Member, Role, State
from daemon.model.notices import Reason
from daemon.model.refs import IncidentId, ObjectRef, derived_id

COUNTS = re.compile(r"\d+/\d+")
MOST_DOUBLED = 4
"""How often the time doubles that a flapping incident must stay well: 30 s become eight minutes, and no more."""
POLLED = 40.0
"""Seconds within which whoever waits for a dependency says so: one of Flux's 30 s polls and a run."""


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
    take_over(world, case)
    if case.incident.state is State.RESOLVED:
        return  # it went into another one
    pass_on(world, case)
    for finding in findings_of(world, case):
        if finding.ref != case.incident.root and is_apart(world, case, finding):
            assign(world, finding)  # it failed of something else before, and of its own by now
    collect(world, case)
    for ref, other in hand_over(world, case):
        join(world, other, ref, None)
        world.touch(other.incident.id)
    mark_recoveries(world, case)
    hold_workloads(world, case)
    reroot(world, case)
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


def trouble_of(world: World, case: Case) -> str:
    """Return what still keeps an incident from being over, in words; empty when nothing does."""
    loud = [finding for finding in findings_of(world, case) if finding.severity > Severity.INFO or is_quiet(case)]
    if loud:
        return f"{loud[0].ref}: {loud[0].summary or loud[0].test}"
    for member in case.incident.members:
        if member.role is not Role.RELATED and keeps_open(world, member):
            return f"{member.ref} is {world.health(member.ref).value}"
    return workload_trouble(world, case)


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
        and (finding.severity > Severity.INFO or is_quiet(case))  # what only informs brings no failure back
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
        join(world, case, finding.ref, None)


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
    findings = world.firing(incident.root) or ([] if incident.summary else findings_of(world, case))
    if findings:
        best = findings[0]
        next_step = best.next_step or incident.next_step
        amend(case, summary=best.summary, next_step=next_step, runbook=best.runbook or incident.runbook)
    trouble = workload_trouble(world, case)
    held = [member.ref for member in incident.members if member.role is not Role.RELATED]
    if trouble and not any(is_unwell(world, ref) for ref in held):
        tell_once(world, case, "evidence", f"all of Flux is well, but {trouble}", "still down")


def _changed(known: Change, now: Change) -> Change:
    """Keep what had changed when it broke: later pushes, and the fix, are not what broke it. Only gaps are filled."""
    if not known.failing:
        return now
    return Change(**{field.name: getattr(known, field.name) or getattr(now, field.name) for field in fields(Change)})


def _gist(cause: str) -> str:
    """Return a cause without what changes while it stays the same: times, ids, how many pods are ready by now."""
    return COUNTS.sub("n/n", fingerprint(cause))


def _at_work(world: World, case: Case) -> bool:
    """Say whether a run of a member is still under way: nothing ends before its outcome is known."""
    return any(is_unwell(world, member.ref) for member in case.incident.members if member.role is not Role.RELATED)


def _held(world: World, case: Case) -> bool:
    return elapsed(case.well_since, world.now) >= _stays_well(world, case)


def _stays_well(world: World, case: Case) -> float:
    """Return how long an incident must stay well: twice as long for each time that it did not, within reason."""
    return float(world.limits.resolve_after * 2 ** min(case.incident.flaps, MOST_DOUBLED))
