"""The step machine of one remediation: propose, start, one action after the other, verify, and stand back.

No action without an intent row in the same commit, none without every guard's leave, none twice: an outcome that is
lost is looked up. Success is proven by the recovery contract, never assumed from an answer.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from daemon.engine.checks import is_met, review
from daemon.engine.correlate import trouble_of
from daemon.engine.guards import allowed_mode, cooled_until, judge
from daemon.engine.lifecycle import Trigger, move
from daemon.engine.plan import instructions_for, plan_for, rule_for, waits_for
from daemon.engine.timeline import amend, remind, tell, tell_once
from daemon.engine.world import Case, World
from daemon.model.effects import RunAction, SaveIntent, SaveResult
from daemon.model.incidents import State
from daemon.model.notices import Reason
from daemon.model.refs import EffectId, IncidentId, derived_id
from daemon.model.remedies import (
    ActionRequest,
    Allow,
    CheckState,
    Deny,
    Expectation,
    Milestone,
    Mode,
    Outcome,
    Phase,
    Remediation,
    Wait,
)
from daemon.model.signals import ActionFinished, Command

ACTION_LIMIT = 600.0
"""Seconds one action may take: an orphan-safe removal waits for a parent's run, which may wait for a health check."""
PATIENCE = 2.0
"""A contract that is not met after so many times its longest milestone has failed."""
TRIES = 2
"""How often a step that was lost and found not done is asked for again."""
RETRY_GUARDS = 30.0
"""Seconds until guards that said "wait" are asked again, if nothing changes before."""

ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.DENIED, Phase.EXPIRED, Phase.REFUSED})


def consider(world: World, case: Case) -> None:
    """Do the next thing about an incident's remediation that may be done now."""
    if not case.open:
        return
    plan = case.incident.remediation
    if plan is not None and plan.phase is Phase.RUNNING and not _in_flight(world, plan):
        _next(world, case, plan)
        plan = case.incident.remediation or plan
    if plan is not None and plan.phase in (Phase.RUNNING, Phase.VERIFYING):
        _verify(world, case, plan)
        return
    if case.incident.state not in (State.OPEN, State.ACKNOWLEDGED):
        return
    _instruct(world, case)
    if plan is not None and plan.phase is Phase.PROPOSED:
        _await_approval(world, case, plan)
        return
    if not _is_settled(world, case):
        return
    _begin(world, case, plan)


def approve(world: World, case: Case, command: Command) -> None:
    """Start a proposed plan on a person's word, if it still is the plan that was read."""
    plan = case.incident.remediation
    actor = f"person {command.actor}"
    if plan is None or plan.phase is not Phase.PROPOSED:
        tell(world, case, "command", "approval refused: there is no plan that waits for one", actor=actor)
        return
    if case.incident.state not in (State.OPEN, State.ACKNOWLEDGED):
        tell(world, case, "command", f"approval refused: the incident is {case.incident.state.value}", actor=actor)
        return
    if command.digest != plan.digest:
        tell(world, case, "command", "approval refused: the plan changed since it was read", actor=actor)
        return
    if plan.expires_at is not None and world.now >= plan.expires_at:
        _finish(world, case, plan, Phase.EXPIRED, "nobody agreed in time")
        return
    verdict = judge(world, case, plan)
    if not isinstance(verdict, Allow):
        tell(world, case, "command", f"approval refused: {verdict.reason}", actor=actor)
        if isinstance(verdict, Deny):
            _finish(world, case, plan, Phase.REFUSED, verdict.reason)
        return
    tell(world, case, "command", f"plan {plan.id} approved", actor=actor)
    _start(world, case, replace(plan, approved_by=command.actor))


def deny(world: World, case: Case, command: Command) -> None:
    """Put a proposed plan away on a person's word."""
    plan = case.incident.remediation
    actor = f"person {command.actor}"
    if plan is None or plan.phase is not Phase.PROPOSED:
        tell(world, case, "command", "nothing to deny: there is no plan that waits", actor=actor)
        return
    case.tried |= {plan.digest}
    _finish(world, case, plan, Phase.DENIED, f"denied by {command.actor}")


def finished(world: World, signal: ActionFinished) -> None:
    """Take the result of an action in: next step, verification, a look, or the end."""
    request, result = signal.request, signal.result
    world.running.pop(request.id, None)
    world.save(SaveResult(request.id, result))
    case = world.cases.get(IncidentId(request.incident))
    plan = case.incident.remediation if case is not None else None
    if case is None or plan is None or plan.id != request.plan or plan.phase is not Phase.RUNNING:
        world.counts["results_unmatched"] += 1
        return
    world.touch(case.incident.id)
    step = plan.steps[request.step]
    actor = f"action:{request.action}"
    about = "" if str(step.ref) in result.detail else f"{step.ref}: "
    tell(world, case, "action", f"{about}{result.outcome.value}: {result.detail}", actor=actor, ref=step.ref)
    for line in result.evidence:
        tell(world, case, "evidence", line, actor=actor, ref=step.ref)
    steps = list(plan.steps)
    steps[request.step] = replace(step, outcome=result.outcome, detail=result.detail, finished_at=world.now)
    plan = replace(plan, steps=tuple(steps))
    amend(case, remediation=plan)
    if result.outcome is Outcome.NOT_DONE and step.tries < TRIES:
        steps[request.step] = replace(step, tries=step.tries + 1, detail=result.detail)
        amend(case, remediation=replace(plan, steps=tuple(steps)))
    elif result.outcome not in (Outcome.CHANGED, Outcome.UNCHANGED):
        _finish(world, case, plan, Phase.FAILED, f"{request.action} {result.outcome.value}: {result.detail}")


def _instruct(world: World, case: Case) -> None:
    """Keep the exact instructions at hand: in observe mode they are all a person gets."""
    if case.incident.instructions and not world.firing(case.incident.root):
        return
    lines = instructions_for(world, case)
    if lines:
        amend(case, instructions=lines)


def _is_settled(world: World, case: Case) -> bool:
    """Say whether the first wait is over, so that the root had its time to show."""
    return case.announce_at is None or world.now >= case.announce_at


def _begin(world: World, case: Case, last: Remediation | None) -> None:
    """Make a plan where a rule has one and may go further than looking; ask for leave, or start."""
    rule = rule_for(world, case)
    if rule is None:
        return
    mode = allowed_mode(world, rule)
    if mode is Mode.OBSERVE:
        return
    if last is not None and last.phase in (Phase.DENIED, Phase.EXPIRED, Phase.REFUSED) and last.digest in case.tried:
        return
    plan = plan_for(world, case, rule, mode)
    if plan is None:
        tell_once(world, case, "action", f"rule {rule.name}: a step has no object to act on; nothing is done")
        return
    verdict = judge(world, case, plan)
    match verdict:
        case Deny(reason=reason):
            tell_once(world, case, "action", f"not mended: {reason}")
        case Wait(reason=reason, until=until):
            tell_once(world, case, "action", f"waits: {reason}")
            world.at(until or world.now + timedelta(seconds=RETRY_GUARDS), case.incident.id)
        case _:
            _propose(world, case, plan)


def _propose(world: World, case: Case, plan: Remediation) -> None:
    if plan.mode is Mode.AUTO:
        tell(world, case, "action", f"plan {plan.id} by rule {plan.rule}: starts without asking (mode auto)")
        _start(world, case, plan)
        return
    amend(case, remediation=plan)
    tell(world, case, "action", f"plan {plan.id} by rule {plan.rule} waits for approval: fluxmedic approve {plan.id}")
    for step in plan.steps:
        tell(world, case, "action", f"would {step.text}", ref=step.ref)
    remind(case, Reason.PROPOSED)
    world.at(plan.expires_at or world.now, case.incident.id)


def _await_approval(world: World, case: Case, plan: Remediation) -> None:
    if plan.expires_at is not None and world.now >= plan.expires_at:
        case.tried |= {plan.digest}
        _finish(world, case, plan, Phase.EXPIRED, "nobody agreed in time")
        return
    verdict = judge(world, case, plan)
    if isinstance(verdict, Deny):
        _finish(world, case, plan, Phase.REFUSED, verdict.reason)


def _start(world: World, case: Case, plan: Remediation) -> None:
    move(world, case, Trigger.REMEDIATE)
    case.attempts = plan.attempt
    amend(case, remediation=replace(plan, phase=Phase.RUNNING, started_at=world.now))
    remind(case, Reason.STARTED)
    world.touch(case.incident.id)


def _in_flight(world: World, plan: Remediation) -> bool:
    return any(request.plan == plan.id for request in world.running.values())


def _next(world: World, case: Case, plan: Remediation) -> None:
    """Ask for the next action, its intent in the same commit; after the last, verify."""
    index = plan.current
    if index == len(plan.steps):
        amend(case, remediation=replace(plan, phase=Phase.VERIFYING))
        return
    step = plan.steps[index]
    known = world.known(step.ref)
    expects = Expectation(known.state.uid, known.state.generation) if known is not None else Expectation()
    request = ActionRequest(
        id=EffectId(derived_id(case.incident.id, plan.id, index, plan.attempt, step.tries)),
        incident=case.incident.id,
        plan=plan.id,
        step=index,
        attempt=plan.attempt,
        action=step.action,
        ref=step.ref,
        params=step.params,
        expects=expects,
        requested_at=world.now,
        deadline=world.now + timedelta(seconds=ACTION_LIMIT),
    )
    steps = list(plan.steps)
    steps[index] = replace(step, started_at=world.now)
    amend(case, remediation=replace(plan, steps=tuple(steps)))
    tell(world, case, "action", f"{step.action}: {step.text}", actor=f"action:{step.action}", ref=step.ref)
    for line in waits_for(world, step):
        tell(world, case, "action", line, actor=f"action:{step.action}", ref=step.ref)
    world.running[request.id] = request
    world.save(SaveIntent(request))
    world.outgoing.append(RunAction(request))


def _verify(world: World, case: Case, plan: Remediation) -> None:
    """Tick the recovery contract off; it is over when all of it was seen, or when it cannot be any more."""
    begun = effect_began(plan)
    if begun is None:
        if plan.phase is Phase.VERIFYING:
            begun = plan.started_at or world.now
        else:
            return
    before = plan.milestones
    after = review(world, case, plan, begun)
    if after != before:
        plan = replace(plan, milestones=after)
        amend(case, remediation=plan)
        _tell_milestones(world, case, plan, before, begun)
    for milestone in after:
        due = begun + timedelta(seconds=milestone.check.within)
        if milestone.state is CheckState.PENDING and due > world.now:
            world.at(due, case.incident.id)
        if milestone.state is CheckState.PENDING and milestone.held_since is not None:
            world.at(milestone.held_since + timedelta(seconds=milestone.check.hold), case.incident.id)
    if plan.phase is not Phase.VERIFYING:
        return
    if is_met(after) and not trouble_of(world, case):
        _finish(world, case, plan, Phase.SUCCEEDED, "the recovery contract is met")
        return
    longest = max([milestone.check.within for milestone in after] or [world.limits.level_grace])
    last = begun + timedelta(seconds=longest * PATIENCE + world.limits.level_grace)
    if world.now >= last:
        missing = [milestone.check.text for milestone in after if milestone.state is not CheckState.MET]
        _finish(world, case, plan, Phase.FAILED, f"not proven: {'; '.join(missing) or 'members still fail'}")
    else:
        world.at(last, case.incident.id)


def effect_began(plan: Remediation) -> datetime | None:
    """Return when the first step that changed something was done: T+0 of the contract."""
    done = [step.finished_at for step in plan.steps if step.outcome is Outcome.CHANGED and step.finished_at]
    return min(done) if done else None


def _tell_milestones(
    world: World, case: Case, plan: Remediation, before: tuple[Milestone, ...], begun: datetime
) -> None:
    for old, new in zip(before, plan.milestones, strict=True):
        if old == new or new.state is CheckState.PENDING:
            continue
        passed = ((new.met_at or world.now) - begun).total_seconds()
        times = f"at T+{passed:.0f}s (expected T+{new.check.within:.0f}s)"
        text = f"{new.check.id} {new.check.text}: {new.state.value} {times}, seen: {new.seen}"
        tell_once(world, case, "milestone", text, f"{plan.id}{new.check.id}{new.state}")
        remind(case, Reason.ESCALATED if new.state is CheckState.MISSED else Reason.JOINED)


def _left(milestone: Milestone, phase: Phase) -> Milestone:
    """Nobody looks at what is still pending when a plan ends: it is not passed, and it does not stay pending."""
    if milestone.state is not CheckState.PENDING:
        return milestone
    seen = f"not looked at any more: the plan is {phase.value}"
    return replace(milestone, state=CheckState.SKIPPED, seen=seen, held_since=None)


def _finish(world: World, case: Case, plan: Remediation, phase: Phase, why: str) -> None:
    """End a remediation: tell, cool down, remember what did not help."""
    rule = world.rules.rule(plan.rule)
    spec = rule.remediation if rule is not None else None
    left = tuple(_left(milestone, phase) for milestone in plan.milestones)
    amend(case, remediation=replace(plan, phase=phase, verdict=why, finished_at=world.now, milestones=left))
    tell(world, case, "action", f"plan {plan.id}: {phase.value}: {why}")
    cooled_until(world, case, spec.cooldown if spec is not None else 0.0)
    if phase is Phase.SUCCEEDED:
        move(world, case, Trigger.VERIFIED)
        remind(case, Reason.VERIFIED)
    elif phase is Phase.FAILED:
        case.tried |= {plan.digest}
        if case.incident.state is State.REMEDIATING:
            move(world, case, Trigger.GIVE_UP)
        remind(case, Reason.FAILED)
    world.touch(case.incident.id)
