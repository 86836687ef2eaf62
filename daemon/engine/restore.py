"""What the ledger remembered, taken in once before anything else.

Open incidents keep their id, thread and history; their findings are derived again from what the cluster shows.
What was in flight is asked about, never repeated blindly.
"""

from daemon.engine.suppress import is_owed
from daemon.engine.timeline import remind
from daemon.engine.world import Case, World
from daemon.model.effects import RunAction, Send
from daemon.model.incidents import Incident, Role
from daemon.model.notices import Notification, Reason
from daemon.model.signals import Restored


def restore(world: World, signal: Restored) -> None:
    """Take incidents, silences, the outbox and unfinished intents in."""
    world.paused = signal.paused
    for silence in signal.silences:
        world.silences[silence.id] = silence
    for incident in signal.incidents:
        _incident(world, incident)
    for notification in signal.outbox:
        _send_again(world, notification)
    for request, _state in signal.intents:
        world.running[request.id] = request
        world.outgoing.append(RunAction(request, look=True))


def _incident(world: World, incident: Incident) -> None:
    case = Case(incident)
    case.saved = case.told = len(incident.timeline)
    case.dirty = False
    case.announced = incident.version > 0
    case.announce_at = incident.opened_at
    case.ended_at = incident.resolved_at
    case.seen_texts = {(entry.kind, entry.text) for entry in incident.timeline}
    case.attempts = incident.remediation.attempt if incident.remediation else 0
    world.cases[incident.id] = case
    if not case.open:
        if is_owed(incident):
            remind(case, Reason.RESOLVED)
            world.touch(incident.id)
        return
    for member in incident.members:
        if member.role is Role.RELATED:
            case.workloads.add(member.ref)
            world.watchers[member.ref].add(incident.id)
        else:
            world.membership.setdefault(member.ref, incident.id)
    world.touch(incident.id)


def _send_again(world: World, notification: Notification) -> None:
    world.outbox[notification.key] = notification
    world.outgoing.append(Send(notification))
