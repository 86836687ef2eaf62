"""Why nobody is told now: a person's silence, a quiet stretch of the week, another finding that says it better.

Suppressed means not sent: the incident goes on, its timeline says what was kept back and why, and what is still open
when the quiet ends is told then; so is the end of what had been told before. That victims are told with their root, and
not apart, is the graph's work.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from daemon.engine.timeline import tell_once
from daemon.engine.world import Case, World
from daemon.model.findings import Finding, FindingState, Severity
from daemon.model.incidents import Incident
from daemon.model.notices import Reason, Silence
from daemon.model.refs import Fingerprint
from daemon.rules.ruleset import Inhibitor

NOT_SENT = "not sent"
OVER = f"({Reason.RESOLVED.value})"
"""How the end of an incident stands in its notices."""
LOOK_AGAIN = 30.0
"""Seconds between two looks whether an inhibiting finding still fires."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """What keeps a message back, and when to ask again."""

    text: str
    until: datetime


def suppressed(world: World, case: Case) -> Suppression | None:
    """Return why nobody is to be told of an incident now, or None."""
    silence = silenced_by(world, case)
    if silence is not None:
        said = f"silenced by {silence.by} until {silence.ends_at:%Y-%m-%d %H:%M}Z: {silence.comment}"
        return Suppression(said, silence.ends_at)
    for window in world.rules.windows:
        if window.quiet and window.contains(world.now, case.incident.root.namespace):
            until = window.ends(world.now)
            return Suppression(f"quiet window {window.name} until {until:%Y-%m-%d %H:%M}Z", until)
    return _inhibited(world, case)


def keep_back(world: World, case: Case, found: Suppression, what: str) -> None:
    """Write down once that something was not sent, and ask to look again when the quiet ends."""
    tell_once(world, case, "notice", f"{NOT_SENT} ({what}): {found.text}", f"{what}: {found.text}")
    if case.quiet_until is None or not world.now < case.quiet_until <= found.until:  # else a look is planned already
        case.quiet_until = found.until
        world.at(found.until, case.incident.id)


def is_owed(incident: Incident) -> bool:
    """Say whether the end of an incident was kept back and not told since: its timeline knows, over restarts too."""
    told = [entry.text for entry in incident.timeline if entry.kind == "notice" and OVER in entry.text]
    return bool(told) and told[-1].startswith(NOT_SENT)


def silenced_by(world: World, case: Case) -> Silence | None:
    """Return the silence that mutes an incident now, or None."""
    for silence in (*world.silences.values(), *world.rules.silences):
        begun = silence.starts_at is None or silence.starts_at <= world.now
        if begun and world.now < silence.ends_at and mutes(silence, case):
            return silence
    return None


def mutes(silence: Silence, case: Case) -> bool:
    """Say whether a silence is about an incident, whenever it holds."""
    root = case.incident.root
    facts = {"kind": root.kind, "namespace": root.namespace, "name": root.name, "incident": case.incident.id}
    return all(
        any(fnmatchcase(rule, pattern) for rule in case.incident.rules)
        if key == "rule"
        else fnmatchcase(facts.get(key, ""), pattern)
        for key, pattern in silence.matcher
    )


def inhibitor_of(world: World, finding: Finding) -> Finding | None:
    """Return the firing finding that says the same better, as the finding's rule declares it, or None."""
    rule = world.rules.rule(finding.test)
    for inhibitor in rule.inhibited_by if rule is not None else ():
        for other in _candidates(world, finding, inhibitor):
            if other is not None and other.state is FindingState.FIRING:
                return other
    return None


def _candidates(world: World, finding: Finding, inhibitor: Inhibitor) -> tuple[Finding | None, ...]:
    if inhibitor.same == "object":
        return (world.findings.get(Fingerprint(inhibitor.rule, finding.ref)),)
    return tuple(
        other
        for other in world.findings.values()
        if other.test == inhibitor.rule
        and (inhibitor.same == "cluster" or other.ref.namespace == finding.ref.namespace)
    )


def _inhibited(world: World, case: Case) -> Suppression | None:
    """Everything loud in it is said better by another incident."""
    found = (world.findings.get(each) for each in case.findings)
    loud = [each for each in found if each is not None and each.severity > Severity.INFO]
    by = [inhibitor_of(world, each) for each in loud]
    told = [each for each in by if each is not None]
    if not loud and case.inhibited_by is not None:  # it is over, and was said better all the time
        told = [each for each in (world.findings.get(case.inhibited_by),) if each and each.state is FindingState.FIRING]
    if not told or len(told) < len(by):
        return None
    first = min(told, key=lambda each: (each.since, each.ref, each.test))
    case.inhibited_by = first.fingerprint
    return Suppression(f"inhibited by {first.test} of {first.ref}", world.now + timedelta(seconds=LOOK_AGAIN))
