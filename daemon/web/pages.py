"""The pages: all incidents, and one incident. Plain HTML that reads well without JavaScript, at most 200 kB. Pure."""

from collections.abc import Sequence
from datetime import datetime

from daemon.model.incidents import Incident, Member, Role, State
from daemon.model.ports import Readiness
from daemon.model.refs import ObjectRef
from daemon.model.remedies import CheckState, Phase, Remediation
from daemon.web.markup import Markup, joined, moment, page, shown, tag

ROWS = 50
"""Incidents on one page."""
BRANCHES = 200
"""Members drawn in a tree; the rest is a number (fault 107)."""
LINES = 300
"""Lines of a timeline on the page, the newest; the API has all."""
SIGNS = {
    State.OPEN: "●",
    State.ACKNOWLEDGED: "◐",
    State.REMEDIATING: "⚙",
    State.RECOVERING: "◔",
    State.RESOLVED: "✓",
}
CHECK_SIGNS = {CheckState.MET: "✓", CheckState.MISSED: "✗", CheckState.SKIPPED: "-", CheckState.PENDING: "…"}


def incidents_page(incidents: Sequence[Incident], readiness: Readiness, now: datetime, offset: int) -> Markup:
    """Return the list: what is open first, then what was."""
    ordered = [each for each in incidents if each.state is not State.RESOLVED]
    ordered += [each for each in incidents if each.state is State.RESOLVED]
    rows = [_row(each, now) for each in ordered[offset : offset + ROWS]]
    head = tag("tr", *(tag("th", name) for name in ("State", "Root", "Cause", "Members", "Opened")))
    table = tag("table", tag("thead", head), tag("tbody", *rows)) if rows else tag("p", "No incident is known.")
    return page("fluxmedic", _banner(incidents, readiness), table, _turning(len(ordered), offset), refresh=10)


def incident_page(incident: Incident, now: datetime) -> Markup:
    """Return one incident: why, what broke, what is done about it, and everything that happened."""
    body = [
        _header(incident),
        _plan(incident.remediation),
        _contract(incident.remediation),
        _instructions(incident),
        tag("h2", f"What it broke ({len(incident.dependents)})"),
        _tree(incident),
        tag("h2", "Timeline"),
        _timeline(incident),
        tag("p", tag("a", "this page as JSON", href=f"/incidents/{incident.id}.json"), class_="soft"),
    ]
    refresh = 0 if incident.state is State.RESOLVED else 5
    del now
    return page(f"{incident.title} - fluxmedic", *body, refresh=refresh)


def missing_page(what: str) -> Markup:
    """Return a page that says something is not there."""
    return page(
        "not found - fluxmedic", tag("h1", "Not found"), tag("p", what), tag("p", tag("a", "all incidents", href="/"))
    )


def _banner(incidents: Sequence[Incident], readiness: Readiness) -> Markup:
    """Return how it stands in one line: five states, from all well to blind."""
    live = [each for each in incidents if each.state is not State.RESOLVED and each.severity > 0]
    if not readiness.ready:
        reasons = tag("ul", *(tag("li", reason) for reason in readiness.reasons[:20]))
        return tag("div", tag("h1", "… Not everything can be seen yet"), reasons, class_="banner warning")
    if not live:
        return tag("div", tag("h1", "✓ All well"), class_="banner well")
    worst = max(each.severity for each in live)
    busy = sum(each.state in (State.REMEDIATING, State.RECOVERING) for each in live)
    words = f"{len(live)} open incident{'s' if len(live) > 1 else ''}"
    more = f", {busy} being mended" if busy else ""
    return tag("div", tag("h1", f"● {words}{more}"), class_=f"banner {worst.word}")


def _row(incident: Incident, now: datetime) -> Markup:
    root = tag("a", f"{incident.root.kind} {incident.root.place}", href=f"/incidents/{incident.id}")
    age = _span((now - incident.opened_at).total_seconds())
    return tag(
        "tr",
        tag("td", _badge(incident), " ", tag("span", incident.severity.word, class_="soft")),
        tag("td", root),
        tag("td", incident.cause[:160]),
        tag("td", len(incident.members)),
        tag("td", moment(incident.opened_at, "%m-%d %H:%M"), tag("div", f"{age} ago", class_="soft")),
    )


def _turning(total: int, offset: int) -> Markup:
    links: list[object] = []
    if offset:
        links.append(tag("a", "newer", href=f"/?offset={max(0, offset - ROWS)}"))
    if offset + ROWS < total:
        links += [" ", tag("a", f"older ({total - offset - ROWS} more)", href=f"/?offset={offset + ROWS}")]
    return tag("p", *links)


def _header(incident: Incident) -> Markup:
    change = incident.change
    facts = (
        ("Since", moment(incident.opened_at, "%Y-%m-%d %H:%M:%S UTC")),
        ("Ended", moment(incident.resolved_at, "%Y-%m-%d %H:%M:%S UTC")),
        ("Cluster", incident.root.cluster),
        ("Last good", change.last_good),
        ("Tried", change.failing),
        ("Commit", change.commit),
        ("Owner in Git", change.owner),
        ("Acknowledged by", incident.acknowledged_by),
        ("Rules", ", ".join(incident.rules)),
        ("Incident", incident.id),
        ("See also", joined(_links(incident))),
    )
    rows = [item for name, value in facts if value for item in (tag("dt", name), tag("dd", value))]
    title = tag("h1", _badge(incident), f" {incident.severity.word} · {incident.root.kind} {incident.root.place}")
    summary = tag("p", incident.summary, class_="soft") if incident.summary else ""
    return tag(
        "div",
        title,
        tag("p", incident.cause, class_="cause"),
        summary,
        tag("dl", *rows),
        class_=f"card {incident.state}",
    )


def _links(incident: Incident) -> list[object]:
    return [part for each in incident.related for part in (tag("a", each, href=f"/incidents/{each}"), " ")]


def _plan(plan: Remediation | None) -> object:
    if plan is None:
        return ""
    steps = [
        tag(
            "li",
            step.text,
            tag("div", f"{step.outcome.value if step.outcome else 'not yet'} {step.detail}", class_="soft"),
        )
        for step in plan.steps
    ]
    ask: object = ""
    if plan.phase is Phase.PROPOSED:
        ask = tag("pre", f"fluxmedic approve {plan.id}\nfluxmedic deny {plan.id}")
    verdict = tag("p", plan.verdict, class_="soft") if plan.verdict else ""
    title = tag("h2", f"Plan {plan.id}: {plan.phase} (rule {plan.rule}, mode {plan.mode}, attempt {plan.attempt})")
    return joined((title, tag("ol", *steps), ask, verdict))


def _contract(plan: Remediation | None) -> object:
    if plan is None or not plan.milestones or plan.started_at is None:
        return ""
    begun = min((step.finished_at for step in plan.steps if step.finished_at), default=plan.started_at)
    rows = []
    for each in plan.milestones:
        met = f"T+{(each.met_at - begun).total_seconds():.0f} s" if each.met_at else ""
        state = tag(
            "span",
            f"{CHECK_SIGNS[each.state]} {each.state}{' late' if each.late else ''}",
            class_=f"badge {each.state}",
        )
        cells = (each.check.id, each.check.text, f"T+{each.check.within:.0f} s", met, state, each.seen)
        rows.append(tag("tr", *(tag("td", cell) for cell in cells)))
    names = ("", "Who must be in what state", "expected by", "met at", "state", "seen")
    head = tag("tr", *(tag("th", name) for name in names))
    return joined((tag("h2", "Recovery contract"), tag("table", tag("thead", head), tag("tbody", *rows))))


def _instructions(incident: Incident) -> object:
    lines = incident.instructions or ((incident.next_step,) if incident.next_step else ())
    if not lines or incident.state is State.RESOLVED:
        return ""
    return joined((tag("h2", "What a person would do"), tag("pre", "\n".join(lines))))


def _tree(incident: Incident) -> Markup:
    """Return the members below what broke them, the root on top; each with a sign, a word and a reason."""
    below: dict[ObjectRef | None, list[Member]] = {}
    for member in incident.members:
        if member.role is not Role.ROOT:
            parent = member.parent if member.parent is not None else incident.root
            below.setdefault(parent, []).append(member)
    drawn: set[ObjectRef] = set()
    top = next((member for member in incident.members if member.role is Role.ROOT), None)
    parts: list[object] = [_branch(top, below, drawn)] if top is not None else []
    parts += [_branch(each, below, drawn) for each in incident.members if each.ref not in drawn]
    left = len(incident.members) - len(drawn)
    if left > 0:
        parts.append(tag("li", f"+{left} more", class_="soft"))
    return tag("ul", *parts, class_="tree")


def _branch(member: Member, below: dict[ObjectRef | None, list[Member]], drawn: set[ObjectRef]) -> Markup:
    if member.ref in drawn or len(drawn) >= BRANCHES:
        return Markup("")
    drawn.add(member.ref)
    well = member.recovered_at is not None
    sign = tag("span", "✓ well" if well else "● down", class_=f"badge {'well' if well else 'open'}")
    role = tag("span", f" {member.role}", class_="soft")
    reason = tag("div", member.reason, class_="soft") if member.reason and not well else ""
    children = [_branch(child, below, drawn) for child in below.get(member.ref, [])]
    inside = tag("ul", *children) if any(children) else ""
    return tag("li", sign, " ", f"{member.ref.kind} {member.ref.place}", role, reason, inside)


def _timeline(incident: Incident) -> Markup:
    entries = incident.timeline[-LINES:]
    earlier = len(incident.timeline) - len(entries)
    first = [tag("li", "", "", f"{earlier} earlier entries: see the JSON", class_="soft")] if earlier else []
    rows = [
        tag("li", moment(entry.at), tag("span", entry.kind, class_="soft"), tag("span", shown(entry.text)))
        for entry in entries
    ]
    return tag("ol", *first, *rows, class_="timeline")


def _badge(incident: Incident) -> Markup:
    return tag("span", f"{SIGNS[incident.state]} {incident.state}", class_=f"badge {incident.state}")


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 60 * 48 else f"{minutes // 1440} d"
