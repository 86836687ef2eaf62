"""A notification as words, before any target's markup: short, exact, the root first, for a phone at three at night.

Pure. Text from the cluster stays text: control and bidi characters are dropped here, markup is escaped by each target.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

from daemon.model.incidents import Incident, State
from daemon.model.notices import Notification, Reason
from daemon.model.remedies import CheckState, Phase, Remediation

NAMES = 5
"""Names of dependents that are listed; the rest is a number."""
TITLE = 150
SENTENCE = 300
NEWS = 12
"""Lines of news in one thread message; the page has the rest."""
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    r"\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What steers a terminal, hides, or turns a line around, and half characters that no encoder takes."""
WORDS = {
    State.OPEN: ("●", "OPEN", "#a30200"),
    State.ACKNOWLEDGED: ("◐", "ACKNOWLEDGED", "#daa038"),
    State.REMEDIATING: ("⚙", "REMEDIATING", "#daa038"),
    State.RECOVERING: ("◔", "RECOVERING", "#5b9bd5"),
    State.RESOLVED: ("✓", "RESOLVED", "#2eb886"),
}
"""Sign, word and colour of a state: never colour alone (Grafana OnCall's colours)."""
MARKS = {CheckState.MET: "✓", CheckState.MISSED: "✗", CheckState.SKIPPED: "-", CheckState.PENDING: "·"}


@dataclass(frozen=True, slots=True)
class Message:
    """What is said, in parts that a target lays out."""

    incident: str
    state: State
    title: str
    cause: str
    impact: str
    fields: tuple[tuple[str, str], ...]
    next_line: str
    context: str
    colour: str
    news: tuple[str, ...]
    instructions: tuple[str, ...]
    contract: tuple[str, ...]
    plan: Remediation | None


def compose(notification: Notification) -> Message:
    """Return the words of a notification."""
    incident = notification.incident
    sign, word, colour = WORDS[incident.state]
    root = f"{incident.root.kind} {incident.root.place}"
    after = f" after {_span(incident.resolved_at - incident.opened_at)}" if incident.resolved_at else ""
    return Message(
        incident=incident.id,
        state=incident.state,
        title=plain(f"{sign} {word}{after} · {incident.severity.word} · {root}", TITLE),
        cause=plain(incident.cause or incident.summary, SENTENCE),
        impact=_impact(incident),
        fields=_fields(incident),
        next_line=_next(notification),
        context=plain(f"{', '.join(incident.rules)} · incident {incident.id}", SENTENCE),
        colour=colour,
        news=_news(notification),
        instructions=tuple(plain(line, 500) for line in incident.instructions),
        contract=_contract(incident.remediation),
        plan=incident.remediation,
    )


def plain(text: str, limit: int) -> str:
    """Return text in one line without control and bidi characters, cut to a limit."""
    line = " ".join(CONTROL.sub("", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _impact(incident: Incident) -> str:
    names = [member.ref.name for member in incident.dependents if member.recovered_at is None]
    total = len(incident.dependents)
    if incident.state is State.RESOLVED or not names:
        were = "dependent was" if total == 1 else "dependents were"
        now = f"{len(names)} not seen well yet" if names else "all well now"
        return f"{total} {were} held up; {now}." if total else ""
    more = f" +{len(names) - NAMES}" if len(names) > NAMES else ""
    return plain(f"Holds up {len(names)}: {', '.join(names[:NAMES])}{more}", SENTENCE)


def _fields(incident: Incident) -> tuple[tuple[str, str], ...]:
    change = incident.change
    revision = " → ".join(_short(part) for part in (change.last_good, change.failing) if part)
    fields = [
        ("Cluster", incident.root.cluster),
        ("Since", incident.opened_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Revision", revision),
        ("Commit", f"{change.commit} ({change.author})" if change.commit and change.author else change.commit),
        ("Owner in Git", change.owner),
    ]
    return tuple((name, plain(value, 200)) for name, value in fields if value)


def _next(notification: Notification) -> str:
    incident = notification.incident
    plan = incident.remediation
    if incident.state is State.RESOLVED:
        if plan is None or plan.phase is not Phase.SUCCEEDED:
            return "Mended without us."
        return plain(f"Mended by plan {plan.id}: {plan.verdict}", SENTENCE)
    if plan is not None and plan.phase is Phase.PROPOSED:
        return f"Waits for approval: fluxmedic approve {plan.id}"
    if plan is not None and plan.phase in (Phase.RUNNING, Phase.VERIFYING):
        return (
            f"Plan {plan.id} is {plan.phase.value}, step {min(plan.current + 1, len(plan.steps))} of {len(plan.steps)}"
        )
    return plain(f"Next: {incident.next_step}", SENTENCE) if incident.next_step else ""


def _news(notification: Notification) -> tuple[str, ...]:
    lines = [f"{entry.at:%H:%M:%S} {plain(entry.text, SENTENCE)}" for entry in notification.news]
    if notification.reason is Reason.OPENED or len(lines) <= NEWS:
        return tuple(lines[:NEWS]) + ((f"… {len(lines) - NEWS} more",) if len(lines) > NEWS else ())
    return (f"… {len(lines) - NEWS} earlier", *lines[-NEWS:])


def _contract(plan: Remediation | None) -> tuple[str, ...]:
    if plan is None or plan.phase not in (Phase.RUNNING, Phase.VERIFYING, Phase.SUCCEEDED, Phase.FAILED):
        return ()
    return tuple(
        plain(
            f"{MARKS[each.state]} {each.check.id} {each.check.text} (by T+{each.check.within:.0f}s): {each.seen}", 200
        )
        for each in plan.milestones
    )


def _short(revision: str) -> str:
    """Return a revision with its hash cut to eight digits."""
    head, colon, digest = revision.rpartition(":")
    return f"{head}{colon}{digest[:8]}" if colon and len(digest) > 8 else revision  # noqa: PLR2004 - as git shows


def _span(length: timedelta) -> str:
    """Return a length of time in the two units that matter."""
    seconds = int(length.total_seconds())
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
