"""The page of one incident, in the order a tired person asks: what, why, what now, who else, since when. Pure."""

from collections.abc import Sequence
from datetime import datetime

from daemon.model.incidents import Incident, Member, Role, State
from daemon.model.refs import ObjectRef
from daemon.model.remedies import CheckState, Phase, Remediation
from daemon.web.markup import Markup, joined, moment, page, span, tag
from daemon.web.pages import badge, broke, reason, severity

BRANCHES = 200
"""Members drawn in a tree; the rest is a number (fault 107)."""
LINES = 300
"""Lines of a timeline on the page, the newest; the API has all."""
TEXT = 400
"""Characters of one line of a timeline or of a member's reason."""
REFRESH = {
    State.OPEN: 20,
    State.ACKNOWLEDGED: 20,
    State.REMEDIATING: 5,
    State.RECOVERING: 5,
    State.RESOLVED: 0,
}
"""Seconds until the page is loaded anew; slower where a person copies commands from it, never once it is over."""
CHECK_SIGNS = {CheckState.MET: "✓", CheckState.MISSED: "✗", CheckState.SKIPPED: "-", CheckState.PENDING: "…"}
AT_WORK = (Phase.RUNNING, Phase.VERIFYING)


def incident_page(incident: Incident, now: datetime) -> Markup:
    """Return one incident: why, what to do, what is done about it, what broke, and everything that happened."""
    body = [
        _header(incident, now),
        _now(incident),
        _plan(incident.remediation),
        _contract(incident.remediation),
        _aside(incident),
        tag("h2", f"What it broke: {broke(incident)}"),
        _tree(incident),
        tag("h2", "Timeline"),
        _timeline(incident),
        tag("h2", "Details"),
        _facts(incident),
    ]
    return page(f"{incident.title} - fluxmedic", *body, refresh=REFRESH[incident.state])


def _header(incident: Incident, now: datetime) -> Markup:
    """Return what it is, how bad, since when, and why."""
    lasted = span(((incident.resolved_at or now) - incident.opened_at).total_seconds())
    since = ("since ", moment(incident.opened_at, "%Y-%m-%d %H:%M:%S UTC"), f", {lasted}")
    ended = (", ended ", moment(incident.resolved_at, "%H:%M:%S")) if incident.resolved_at else ()
    by = f" · acknowledged by {incident.acknowledged_by}" if incident.acknowledged_by else ""
    summary = tag("p", incident.summary, class_="soft") if incident.summary not in ("", incident.cause) else ""
    tone = incident.state.value if incident.state is State.RESOLVED else incident.severity.word
    return tag(
        "header",
        tag("p", badge(incident), " ", severity(incident), " ", tag("span", *since, *ended, by, class_="soft")),
        tag("h1", f"{incident.root.kind} {incident.root.place}"),
        tag("p", reason(incident), class_="cause"),
        summary,
        class_=f"card {tone}",
    )


def _now(incident: Incident) -> Markup:
    """Return the one thing to know next: whether a person is needed, and for what."""
    plan = incident.remediation
    if incident.state is State.RESOLVED:
        ours = plan is not None and plan.phase is Phase.SUCCEEDED
        words = "fluxmedic mended it, and proved it by the contract below." if ours else "Mended without fluxmedic."
        return _box("well", "✓ It is over, nothing to do", tag("p", words))
    if plan is not None and plan.phase is Phase.PROPOSED:
        asked = tag("pre", f"fluxmedic approve {plan.id}\nfluxmedic deny {plan.id}")
        return _box("warning", "Needs you: approve or deny the plan below", asked)
    if plan is not None and plan.phase in AT_WORK:
        return _box("busy", "Nothing to do: fluxmedic is at work", tag("p", _progress(plan)))
    if incident.state is State.RECOVERING:
        waiting = sum(member.recovered_at is None for member in incident.dependents)
        words = f"The cause is gone. {waiting} of {len(incident.dependents)} that it held up are not well yet."
        text = words if waiting else "The cause is gone and everything is well; it ends when that has lasted."
        return _box("busy", "Nothing to do: it recovers", tag("p", text))
    failed = tag("p", f"Plan {plan.id} {plan.phase}: {plan.verdict}") if plan is not None and plan.verdict else ""
    by_hand = _by_hand(incident)
    if not by_hand:
        return _box("warning", "Needs you", failed, tag("p", "No rule says how. Begin with the root and the timeline."))
    return _box("warning", "Needs you: what a person would do", failed, by_hand)


def _aside(incident: Incident) -> Markup:
    """Return what a person could do instead, further down, while a plan waits or is at work."""
    plan = incident.remediation
    by_hand = _by_hand(incident)
    if plan is None or plan.phase not in (Phase.PROPOSED, *AT_WORK) or not by_hand or incident.state is State.RESOLVED:
        return Markup("")
    title = "By hand instead" if plan.phase is Phase.PROPOSED else "By hand, only if fluxmedic gives up"
    return joined((tag("h2", title), by_hand))


def _by_hand(incident: Incident) -> Markup:
    """Return the rule's advice, the exact lines to type, and the way to the runbook; empty when there is none."""
    parts: list[Markup] = []
    if incident.next_step and incident.next_step != "\n".join(incident.instructions):
        parts.append(tag("pre", incident.next_step, class_="advice"))
    if incident.instructions:
        if parts:
            parts.append(tag("p", "The steps that a plan would take, as commands:", class_="soft"))
        parts.append(tag("pre", "\n".join(incident.instructions)))
    if incident.runbook.startswith(("https://", "http://")):
        parts.append(tag("p", tag("a", "Runbook", href=incident.runbook, rel="noreferrer noopener")))
    return joined(parts)


def _progress(plan: Remediation) -> str:
    if plan.phase is Phase.RUNNING:
        return f"Step {min(plan.current + 1, len(plan.steps))} of {len(plan.steps)} of the plan below is under way."
    counted = [each for each in plan.milestones if each.state is not CheckState.SKIPPED]
    met = sum(each.state is CheckState.MET for each in counted)
    return f"Every step is done; {met} of {len(counted)} proofs of the recovery are in."


def _box(tone: str, title: str, *children: object) -> Markup:
    return tag("section", tag("h2", title), *children, class_=f"now {tone}")


def _plan(plan: Remediation | None) -> Markup:
    if plan is None:
        return Markup("")
    steps = [
        tag(
            "li",
            step.text or f"{step.action} {step.ref.kind} {step.ref.place}",
            tag("div", f"{step.outcome or 'not yet'} {step.detail}", class_="soft"),
        )
        for step in plan.steps
    ]
    by = f", approved by {plan.approved_by}" if plan.approved_by else ""
    facts = tag("p", f"rule {plan.rule}, mode {plan.mode}, attempt {plan.attempt}{by}", class_="soft")
    verdict = tag("p", plan.verdict) if plan.verdict else ""
    return joined((tag("h2", f"Plan {plan.id}: {plan.phase}"), facts, tag("ol", *steps), verdict))


def _contract(plan: Remediation | None) -> Markup:
    if plan is None or not plan.milestones or plan.started_at is None:
        return Markup("")
    begun = min((step.finished_at for step in plan.steps if step.finished_at), default=plan.started_at)
    rows = []
    for each in plan.milestones:
        word = f"{CHECK_SIGNS[each.state]} {each.state}{' late' if each.late else ''}"
        met = f"T+{(each.met_at - begun).total_seconds():.0f} s" if each.met_at else "-"
        rows.append(
            tag(
                "tr",
                tag("td", tag("span", word, class_=f"badge {each.state}")),
                tag("td", tag("span", f"{each.check.id} ", class_="soft"), each.check.text),
                tag("td", each.seen or "-", data_label="seen"),
                tag("td", f"T+{each.check.within:.0f} s", data_label="expected by", class_="time"),
                tag("td", met, data_label="met at", class_="time"),
            )
        )
    names = ("", "Must be so", "Seen", "By", "Met at")
    head = tag("tr", *(tag("th", name) for name in names))
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="cards")
    return joined((tag("h2", "Recovery contract"), table))


def _tree(incident: Incident) -> Markup:
    """Return the members below what broke them, the root on top; each with a sign, a word and a reason."""
    below: dict[ObjectRef | None, list[Member]] = {}
    for member in incident.members:
        if member.role is not Role.ROOT:
            parent = member.parent if member.parent is not None else incident.root
            below.setdefault(parent, []).append(member)
    drawn: set[ObjectRef] = set()
    top = [member for member in incident.members if member.role is Role.ROOT]
    parts: list[object] = [_branch(each, below, drawn) for each in (*top, *incident.members)]
    left = len(incident.members) - len(drawn)
    if left > 0:
        parts.append(tag("li", f"+{left} more", class_="soft"))
    return tag("ul", *parts, class_="tree")


def _branch(member: Member, below: dict[ObjectRef | None, list[Member]], drawn: set[ObjectRef]) -> Markup:
    if member.ref in drawn or len(drawn) >= BRANCHES:
        return Markup("")
    drawn.add(member.ref)
    well = member.recovered_at is not None
    when = "when it joined: " if member.role is Role.RELATED else ""
    why = tag("div", when, _cut(member.reason), class_="soft") if member.reason and not well else ""
    children = [_branch(child, below, drawn) for child in below.get(member.ref, [])]
    inside = tag("ul", *children) if any(children) else ""
    name = tag("span", f"{member.ref.kind} {member.ref.place}", class_="root" if member.role is Role.ROOT else None)
    return tag("li", _health(member), " ", name, why, inside)


def _health(member: Member) -> Markup:
    """Return how a member is; what is only related is evidence, and nobody watched it recover."""
    if member.recovered_at is not None:
        return tag("span", "✓ well", class_="badge well")
    if member.role is Role.RELATED:
        return tag("span", "· related", class_="badge info")
    if member.role is Role.ROOT:
        return tag("span", "● root", class_="badge solid open")
    return tag("span", "● down", class_="badge open")


def _timeline(incident: Incident) -> Markup:
    entries = incident.timeline[-LINES:]
    earlier = len(incident.timeline) - len(entries)
    first = [tag("li", f"{earlier} earlier entries: see the JSON", class_="soft")] if earlier else []
    rows = [
        tag(
            "li",
            moment(entry.at),
            tag("span", entry.kind, class_="kind"),
            tag(
                "span", _cut(entry.text), tag("span", f" ({entry.actor})", class_="soft") if _said(entry.actor) else ""
            ),
            class_=f"k-{entry.kind}" if entry.kind.isalpha() else None,
        )
        for entry in entries
    ]
    return tag("ol", *first, *rows, class_="timeline")


def _said(actor: str) -> bool:
    return actor.startswith("person ")


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"


def _facts(incident: Incident) -> Markup:
    change = incident.change
    facts: Sequence[tuple[str, object]] = (
        ("Cluster", incident.root.cluster),
        ("Last good", change.last_good),
        ("Tried", change.failing),
        ("Commit", change.commit),
        ("Author", change.author),
        ("Source", change.source),
        ("Owner in Git", change.owner),
        ("Controller", change.controller),
        ("Last written by", change.writer),
        ("Rules", ", ".join(incident.rules)),
        ("Incident", incident.id),
        ("See also", joined(_links(incident))),
        ("As JSON", tag("a", "all of this page", href=f"/incidents/{incident.id}.json")),
    )
    return tag("dl", *(item for name, value in facts if value for item in (tag("dt", name), tag("dd", value))))


def _links(incident: Incident) -> list[object]:
    return [part for each in incident.related for part in (tag("a", each, href=f"/incidents/{each}"), " ")]
