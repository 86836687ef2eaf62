"""When to say what to whom: the wait before the first message, one notification a step, each with its Reason.

An incident of severity info is never sent. Nothing is sent for an incident that ended within its grouping wait.
"""

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase

from daemon.engine.suppress import OVER, is_owed, keep_back, suppressed
from daemon.engine.timeline import remind, tell
from daemon.engine.world import Case, World
from daemon.model.effects import SaveOutbox, Send
from daemon.model.findings import Severity
from daemon.model.incidents import Incident, State
from daemon.model.notices import QUIET, Notification, Reason
from daemon.model.refs import EffectId, Target, derived_id
from daemon.rules.ruleset import Route, Rule

STRENGTH = (
    Reason.RESOLVED,
    Reason.REOPENED,
    Reason.FAILED,
    Reason.VERIFIED,
    Reason.STARTED,
    Reason.PROPOSED,
    Reason.ESCALATED,
    Reason.CAUSE_CHANGED,
    Reason.ACKNOWLEDGED,
    Reason.REPEATED,
    Reason.JOINED,
)
"""Which reason is said when several hold in one step: the first of these."""

OWED = (Reason.RESOLVED, Reason.REOPENED, Reason.ESCALATED, Reason.CAUSE_CHANGED)
"""What is told when the quiet ends, if it was kept back: who was told of an incident must not go on believing it."""


def announce(world: World, case: Case) -> None:
    """Send what this step has to say about an incident, if it may be said now."""
    incident = case.incident
    if not case.announced:
        _announce_first(world, case)
        return
    if case.open:
        case.pending.pop(Reason.RESOLVED, None)  # kept back while it was quiet, and open again by now
    if not case.pending or incident.severity is Severity.INFO:
        case.pending.clear()
        return
    reason = next(each for each in STRENGTH if each in case.pending)
    if reason in QUIET and _too_soon(world, case):
        return
    owed = [each for each in case.pending if each in OWED]
    case.pending.clear()
    quiet = suppressed(world, case)
    if quiet is None:
        if reason is Reason.RESOLVED and is_owed(case.incident):
            tell(world, case, "notice", f"sent now {OVER}: the quiet is over")
        _send(world, case, reason)
        return
    keep_back(world, case, quiet, reason.value)
    for each in owed:
        remind(case, each)


def repeat(world: World, case: Case) -> None:
    """Remind of an incident that is still open and that nobody has acknowledged; twice as late each time."""
    if not case.announced or case.repeat_at is None or world.now < case.repeat_at:
        return
    if case.incident.state is State.OPEN:
        remind(case, Reason.REPEATED)
        case.repeats += 1
    _plan_repeat(world, case)


def targets_of(world: World, case: Case) -> tuple[Target, ...]:
    """Return the targets that an incident goes to: those that its rules name, of the first matching routes, or all."""
    incident = case.incident
    rules = [rule for rule in map(world.rules.rule, incident.rules) if rule is not None]
    chosen = [Target(target) for rule in rules for target in rule.route if target in world.limits.targets]
    for route in () if chosen else world.rules.routes:
        if _fits(route, incident, rules):
            chosen += [Target(target) for target in route.targets if target in world.limits.targets]
            if not route.continues:
                break
    return tuple(dict.fromkeys(chosen)) or world.limits.targets


def _fits(route: Route, incident: Incident, rules: list[Rule]) -> bool:
    """Say whether a route takes an incident: by severity, kind and namespace of its root, rules and their labels."""
    root = incident.root
    labels = {pair for rule in rules for pair in rule.labels}
    named = (fnmatchcase(name, pattern) for name in incident.rules for pattern in route.rules)
    return (
        incident.severity >= route.min_severity
        and (not route.kinds or root.kind in route.kinds)
        and fnmatchcase(root.namespace, route.namespaces or "*")
        and (not route.rules or any(named))
        and all(
            any(key == name and fnmatchcase(value, wanted) for name, value in labels)
            for key, wanted in route.labels.items()
        )
    )


def _too_soon(world: World, case: Case) -> bool:
    """Say whether a mere edit must wait; then the incident is looked at again when it may go."""
    if case.told_at is None:
        return False
    due = case.told_at + timedelta(seconds=world.limits.edit_every)
    if due > world.now and case.edit_at != due:
        case.edit_at = due
        world.at(due, case.incident.id)
    return due > world.now


def _announce_first(world: World, case: Case) -> None:
    waited = case.announce_at is not None and world.now >= case.announce_at
    if not case.open or case.incident.severity is Severity.INFO or not waited:
        case.pending.clear()
        return
    case.pending.clear()
    quiet = suppressed(world, case)
    if quiet is not None:
        keep_back(world, case, quiet, Reason.OPENED.value)
        return
    case.announced = True
    _send(world, case, Reason.OPENED)
    _plan_repeat(world, case)


def _plan_repeat(world: World, case: Case) -> None:
    case.repeat_at = world.now + timedelta(seconds=world.limits.repeat_after * 2**case.repeats)
    world.at(case.repeat_at, case.incident.id)


def _send(world: World, case: Case, reason: Reason) -> None:
    news = case.incident.timeline[case.told :]
    case.told, case.told_at = len(case.incident.timeline), world.now
    case.incident = replace(case.incident, version=case.incident.version + 1)
    for target in targets_of(world, case):
        key = EffectId(derived_id(target, case.incident.id, reason.value, case.incident.version))
        notification = Notification(key, target, reason, case.incident, world.now, news)
        world.outbox[key] = notification
        world.save(SaveOutbox(notification))
        world.outgoing.append(Send(notification))
    case.dirty = True
    world.counts["notifications"] += 1
