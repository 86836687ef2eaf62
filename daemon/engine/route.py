"""When to say what to whom: the wait before the first message, one notification a step, each with its Reason.

An incident of severity info is never sent. Nothing is sent for an incident that ended within its grouping wait.
"""

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase

from daemon.engine.timeline import remind
from daemon.engine.world import Case, World
from daemon.model.effects import SaveOutbox, Send
from daemon.model.findings import Severity
from daemon.model.incidents import State
from daemon.model.notices import QUIET, Notification, Reason, Silence
from daemon.model.refs import EffectId, Target, derived_id

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


def announce(world: World, case: Case) -> None:
    """Send what this step has to say about an incident, if it may be said now."""
    incident = case.incident
    if not case.announced:
        _announce_first(world, case)
        return
    if not case.pending or incident.severity is Severity.INFO:
        case.pending.clear()
        return
    reason = next(each for each in STRENGTH if each in case.pending)
    if reason in QUIET and _too_soon(world, case):
        return
    case.pending.clear()
    if not _is_quiet(world, case):
        _send(world, case, reason)


def repeat(world: World, case: Case) -> None:
    """Remind of an incident that is still open and that nobody has acknowledged; twice as late each time."""
    if not case.announced or case.repeat_at is None or world.now < case.repeat_at:
        return
    if case.incident.state is State.OPEN:
        remind(case, Reason.REPEATED)
        case.repeats += 1
    _plan_repeat(world, case)


def targets_of(world: World, case: Case) -> tuple[Target, ...]:
    """Return the targets that an incident goes to: those of the first matching routes, else all."""
    incident = case.incident
    chosen: list[Target] = []
    for route in world.rules.routes:
        loud = incident.severity >= route.min_severity
        kind = not route.kinds or incident.root.kind in route.kinds
        if loud and kind and fnmatchcase(incident.root.namespace, route.namespaces or "*"):
            chosen += [Target(target) for target in route.targets if target in world.limits.targets]
            if not route.continues:
                break
    return tuple(dict.fromkeys(chosen)) or world.limits.targets


def silenced_by(world: World, case: Case) -> Silence | None:
    """Return the silence that mutes an incident now, or None."""
    root = case.incident.root
    facts = {"kind": root.kind, "namespace": root.namespace, "name": root.name, "incident": case.incident.id}
    for silence in (*world.silences.values(), *world.rules.silences):
        begun = silence.starts_at is None or silence.starts_at <= world.now
        matches = all(fnmatchcase(facts.get(key, ""), pattern) for key, pattern in silence.matcher)
        if begun and matches and world.now < silence.ends_at:
            return silence
    return None


def _is_quiet(world: World, case: Case) -> bool:
    """Say whether nobody is to be told now: a silence of a person, or a quiet stretch of the week."""
    namespace = case.incident.root.namespace
    in_window = any(window.quiet and window.contains(world.now, namespace) for window in world.rules.windows)
    return in_window or silenced_by(world, case) is not None


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
    if _is_quiet(world, case):
        case.pending.clear()
        return
    case.announced = True
    case.pending.clear()
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
