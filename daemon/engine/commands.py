"""A person's word: acknowledge, note, resolve, approve, deny, silence, pause. The same command twice is one.

A word that cannot be taken is answered with an entry in the incident's timeline, never with an exception.
"""

from dataclasses import replace

from daemon.engine import correlate, remedy
from daemon.engine.lifecycle import Trigger, move
from daemon.engine.suppress import mutes
from daemon.engine.timeline import amend, remind, tell
from daemon.engine.world import Case, World
from daemon.model.effects import SavePause, SaveSilence
from daemon.model.incidents import State
from daemon.model.notices import Reason, Silence
from daemon.model.signals import Command


def obey(world: World, command: Command) -> None:
    """Do what a person said, once."""
    if command.id in world.commands:
        return
    world.commands.append(command.id)
    if command.verb in ("pause", "resume"):
        world.paused = command.verb == "pause"
        world.save(SavePause(world.paused))
        return
    if command.verb in ("silence", "expire"):
        (_silence if command.verb == "silence" else _expire)(world, command)
        return
    case = find(world, command.subject)
    if case is None:
        world.counts["commands_unmatched"] += 1
        return
    world.touch(case.incident.id)
    _obey_about(world, case, command)


def _silence(world: World, command: Command) -> None:
    """Begin a silence: `subject` is its matcher (kind=…,name=…), `until` its end, `text` its comment."""
    pairs = sorted(part.partition("=")[::2] for part in command.subject.split(","))
    if command.until is None or command.until <= world.now:
        world.counts["commands_unmatched"] += 1
        return
    silence = Silence(command.id, tuple(pairs), command.until, command.text, command.actor, world.now)
    _keep(world, silence)
    for case in world.open_cases():
        if mutes(silence, case):
            said = f"silenced until {silence.ends_at:%Y-%m-%d %H:%M}Z: {silence.comment}"
            tell(world, case, "command", said, actor=f"person {command.actor}")
            world.touch(case.incident.id)


def _expire(world: World, command: Command) -> None:
    """End a silence now, by its id or a unique beginning of it; what is open is told then."""
    found = [each for each in world.silences.values() if each.id.startswith(command.subject) and command.subject]
    if len(found) != 1:
        world.counts["commands_unmatched"] += 1
        return
    silence = found[0]
    _keep(world, replace(silence, ends_at=world.now))
    del world.silences[silence.id]
    for case in world.cases.values():
        if (case.open or case.pending) and mutes(silence, case):
            tell(world, case, "command", f"silence ended: {silence.comment}", actor=f"person {command.actor}")
            world.touch(case.incident.id)


def _keep(world: World, silence: Silence) -> None:
    """Remember a silence, forget those that are over."""
    for old in [each.id for each in world.silences.values() if each.ends_at <= world.now]:
        del world.silences[old]
    world.silences[silence.id] = silence
    world.save(SaveSilence(silence))


def find(world: World, subject: str) -> Case | None:
    """Return the case of an incident id, of a unique beginning of one, or of a plan id."""
    if not subject:
        return None
    exact = [case for case in world.cases.values() if subject in (case.incident.id, _plan(case))]
    begun = [case for case in world.cases.values() if case.incident.id.startswith(subject)]
    found = exact or begun
    return found[0] if len(found) == 1 else None


def lapse(world: World, case: Case) -> None:
    """Open an acknowledged incident again when its acknowledgement is too old."""
    if case.incident.state is not State.ACKNOWLEDGED:
        return
    said = [entry.at for entry in case.incident.timeline if entry.kind == "command" and entry.text == "acknowledged"]
    if said and (world.now - said[-1]).total_seconds() >= world.limits.acknowledge_for:
        move(world, case, Trigger.LAPSE)
        remind(case, Reason.REPEATED)


def _obey_about(world: World, case: Case, command: Command) -> None:
    actor = f"person {command.actor}"
    match command.verb:
        case "acknowledge":
            if move(world, case, Trigger.ACKNOWLEDGE, actor=actor):
                amend(case, acknowledged_by=command.actor)
                tell(world, case, "command", "acknowledged", actor=actor)
                world.after(world.limits.acknowledge_for, case.incident.id)
                remind(case, Reason.ACKNOWLEDGED)
        case "note":
            tell(world, case, "command", command.text, actor=actor)
            remind(case, Reason.JOINED)
        case "resolve":
            correlate.end(world, case, Trigger.RESOLVE, actor=actor)
        case "approve":
            remedy.approve(world, case, command)
        case "deny":
            remedy.deny(world, case, command)
        case _:
            tell(world, case, "command", f"unknown command {command.verb!r}: nothing done", actor=actor)


def _plan(case: Case) -> str:
    return case.incident.remediation.id if case.incident.remediation else ""
