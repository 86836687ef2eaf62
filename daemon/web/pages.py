"""The page of all incidents: how it stands, worst first. Plain HTML that reads well without JavaScript. Pure."""

from collections.abc import Sequence
from datetime import datetime

from daemon.model.findings import Severity
from daemon.model.incidents import Incident, State
from daemon.model.ports import Readiness
from daemon.web.markup import Markup, joined, moment, page, span, tag

ROWS = 50
"""Incidents on one page, at most 200 kB (fault 107)."""
REASONS = 20
CAUSE = 200
"""Characters of a cause in the list; the incident's own page has all of it."""
SIGNS = {
    State.OPEN: "●",
    State.ACKNOWLEDGED: "◐",
    State.REMEDIATING: "⚙",
    State.RECOVERING: "◔",
    State.RESOLVED: "✓",
}
"""State is told by sign and word, never by colour alone."""


def incidents_page(incidents: Sequence[Incident], readiness: Readiness, now: datetime, offset: int) -> Markup:
    """Return the list: what is open first and of that the worst, then what was."""
    live = [each for each in incidents if each.state is not State.RESOLVED]
    ordered = sorted(live, key=lambda each: -each.severity)
    ordered += [each for each in incidents if each.state is State.RESOLVED]
    rows = [_row(each, now) for each in ordered[offset : offset + ROWS]]
    head = tag("tr", *(tag("th", name) for name in ("State", "Root and cause", "Broke", "Opened")))
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="cards")
    if not rows:
        table = tag("p", "No incident is known.", class_="soft")
    alarming = [each for each in live if each.severity > Severity.INFO]
    title = f"{len(alarming)} open - fluxmedic" if alarming else "fluxmedic"
    return page(title, _banner(alarming, readiness), table, _turning(len(ordered), offset), refresh=10)


def missing_page(what: str) -> Markup:
    """Return a page that says something is not there."""
    return page(
        "not found - fluxmedic", tag("h1", "Not found"), tag("p", what), tag("p", tag("a", "all incidents", href="/"))
    )


def badge(incident: Incident) -> Markup:
    """Return the state of an incident as sign and word."""
    return tag("span", f"{SIGNS[incident.state]} {incident.state}", class_=f"badge {incident.state}")


def severity(incident: Incident) -> Markup:
    """Return how bad an incident is; what is over is not bad any more."""
    tone = "soft" if incident.state is State.RESOLVED else incident.severity.word
    return tag("span", incident.severity.word, class_=f"word {tone}")


def reason(incident: Incident) -> str:
    """Return the cause without the root's name, for where that stands above it."""
    return incident.cause.removeprefix(f"{incident.root.kind} {incident.root.place}: ")


def broke(incident: Incident) -> str:
    """Return how many dependents there are and how many of them are not well yet."""
    total = len(incident.dependents)
    down = sum(member.recovered_at is None for member in incident.dependents)
    if not total:
        return "nothing else"
    return f"{total}, {down} still down" if down else f"{total}, all well"


def _banner(live: Sequence[Incident], readiness: Readiness) -> Markup:
    """Return how it stands in one line: whether we see everything, how many are open, how bad, what is being done."""
    parts: list[Markup] = []
    if not readiness.ready:
        reasons = tag("ul", *(tag("li", reason) for reason in readiness.reasons[:REASONS]))
        parts.append(tag("div", tag("h1", "… Not everything can be seen yet"), reasons, class_="banner warning"))
    if live:
        worst = max(each.severity for each in live)
        words = f"● {len(live)} open incident{'s' if len(live) > 1 else ''}"
        parts.append(
            tag(
                "div",
                tag("h1", words),
                tag("p", " · ".join(_tally(live)), class_="soft"),
                class_=f"banner {worst.word}",
            )
        )
    elif readiness.ready:
        parts.append(tag("div", tag("h1", "✓ All well"), class_="banner well"))
    return joined(parts)


def _tally(live: Sequence[Incident]) -> list[str]:
    levels = sorted({each.severity for each in live}, reverse=True)
    tally = [f"{sum(each.severity is level for each in live)} {level.word}" for level in levels]
    for words, states in (
        ("being mended", (State.REMEDIATING, State.RECOVERING)),
        ("acknowledged", (State.ACKNOWLEDGED,)),
        ("taken by nobody", (State.OPEN,)),
    ):
        count = sum(each.state in states for each in live)
        if count:
            tally.append(f"{count} {words}")
    return tally


def _row(incident: Incident, now: datetime) -> Markup:
    root = tag("a", f"{incident.root.kind} {incident.root.place}", href=f"/incidents/{incident.id}", class_="root")
    cause = reason(incident)
    cause = cause if len(cause) <= CAUSE else f"{cause[: CAUSE - 1]}…"
    by = tag("div", f"by {incident.acknowledged_by}", class_="soft") if incident.acknowledged_by else ""
    ended = incident.resolved_at or now
    age = span((ended - incident.opened_at).total_seconds())
    lasted = f"lasted {age}" if incident.resolved_at else f"{age} ago"
    return tag(
        "tr",
        tag("td", badge(incident), " ", severity(incident), by),
        tag("td", root, tag("div", cause)),
        tag("td", broke(incident), data_label="broke", class_="few"),
        tag("td", moment(incident.opened_at, "%m-%d %H:%M"), tag("div", lasted, class_="soft"), data_label="opened"),
        class_=incident.state.value if incident.state is State.RESOLVED else incident.severity.word,
    )


def _turning(total: int, offset: int) -> Markup:
    links: list[object] = []
    if offset:
        links.append(tag("a", "newer", href=f"/?offset={max(0, offset - ROWS)}"))
    if offset + ROWS < total:
        links += [" ", tag("a", f"older ({total - offset - ROWS} more)", href=f"/?offset={offset + ROWS}")]
    return tag("p", *links) if links else Markup("")
