"""An incident and an explanation as text for a terminal: the same facts as the page, in reading order."""

from collections.abc import Mapping, Sequence

from daemon.cli.output import place

MARKS = {"met": "✓", "missed": "✗", "pending": "…", "skipped": "-"}

NEAR = 2
"""A rule that got past so many clauses is about the object; one that stopped before is only shown on demand."""


def card(incident: Mapping[str, object]) -> str:
    """Return everything about one incident."""
    lines = [
        f"{_of(incident, 'state').upper()} · {_of(incident, 'severity')} · {place(incident.get('root'))}",
        f"  {_of(incident, 'cause')}",
        "",
        f"Incident  {_of(incident, 'id')} in cluster {_of(incident, 'cluster')}",
        f"Opened    {_of(incident, 'opened_at')}",
    ]
    if incident.get("resolved_at"):
        lines.append(f"Resolved  {_of(incident, 'resolved_at')}")
    if incident.get("acknowledged_by"):
        lines.append(f"Ack       {_of(incident, 'acknowledged_by')}")
    lines += [f"Rules     {', '.join(_texts(incident.get('rules')))}", *_change(incident.get("change"))]
    if incident.get("runbook"):
        lines.append(f"Runbook   {_of(incident, 'runbook')}")
    lines += ["", "Members", *tree(_maps(incident.get("members")))]
    if incident.get("next_step"):
        lines += ["", "Next step", *_indented(_of(incident, "next_step"))]
    instructions = _texts(incident.get("instructions"))
    if instructions:
        lines += ["", "By hand", *(line for text in instructions for line in _indented(text))]
    plan = incident.get("remediation")
    if isinstance(plan, Mapping):
        lines += ["", *_plan(plan)]
    lines += ["", "Timeline", *(_entry(entry) for entry in _maps(incident.get("timeline")))]
    return "\n".join(lines)


def explanation(found: Mapping[str, object], *, everything: bool = False) -> str:
    """Return why an object is or is not in an incident; of the rules and detectors those that are near, or all."""
    lines = [_of(found, "answer")]
    for index, step in enumerate(_maps(found.get("path")), start=1):
        lines.append(f"{'  ' * index}← {place(step.get('object'))}: {_of(step, 'because')}")
    causes = [place(cause) for cause in _maps(found.get("causes"))]
    if causes and not found.get("path"):
        lines.append(f"It waits for, or is broken by: {', '.join(causes)}")
    if found.get("suppressed"):
        lines.append(f"Nobody is told of it now: {_of(found, 'suppressed')}")
    findings = _maps(found.get("findings"))
    lines += [f"{_of(each, 'state')}: {_of(each, 'test')}: {_of(each, 'summary')}" for each in findings]
    for rule in _maps(found.get("rules")):
        if everything or rule.get("held") or len(_maps(rule.get("clauses"))) > NEAR or rule.get("error"):
            lines += _trace("rule", rule)
    for detector in _maps(found.get("detectors")):
        if everything or len(_maps(detector.get("clauses"))) > 1:
            lines += _trace("detector", detector)
    return "\n".join(lines)


def narrowed(found: Mapping[str, object], rule: str) -> dict[str, object]:
    """Return an explanation with one rule or detector alone; whole where none is named."""
    told = {
        key: [each for each in _maps(found.get(key)) if not rule or each.get("rule") == rule]
        for key in ("rules", "detectors")
    }
    return {**found, **told}


def explains(found: Mapping[str, object]) -> bool:
    """Say whether any rule or detector is left in an explanation, or its object is not known at all."""
    return not found.get("known") or bool(found.get("rules") or found.get("detectors"))


def _trace(what: str, told: Mapping[str, object]) -> list[str]:
    lines = [f"{what} {_of(told, 'rule')}: {'holds' if told.get('held') else 'does not hold'}"]
    for clause in _maps(told.get("clauses")):
        held = clause.get("held")
        mark = "?" if held is None else "✓" if held else "✗"
        lines.append(f"  {mark} {_of(clause, 'name')}: wanted {_of(clause, 'wanted')}, saw {_of(clause, 'seen')}")
    return lines


def tree(members: Sequence[Mapping[str, object]]) -> list[str]:
    """Return members as an indented tree, the root on top; a ring or an unknown parent hangs below the root."""
    below: dict[str, list[Mapping[str, object]]] = {}
    names = {place(member) for member in members}
    root = next((place(member) for member in members if member.get("role") == "root"), "")
    for member in members:
        parent = place(member.get("parent"))
        if place(member) != root:
            below.setdefault(parent if parent in names else root, []).append(member)
    lines: list[str] = []
    seen: set[str] = set()

    def add(member: Mapping[str, object], depth: int) -> None:
        name = place(member)
        if name in seen:
            return
        seen.add(name)
        state = "well again" if member.get("recovered_at") else _of(member, "reason") or _of(member, "role")
        lines.append(f"  {'   ' * depth}{'└─ ' if depth else ''}{name}  {state}")
        for child in below.get(name, []):
            add(child, depth + 1)

    for member in members:
        if place(member) == root:
            add(member, 0)
    for member in members:
        add(member, 1)
    return lines


def _plan(plan: Mapping[str, object]) -> list[str]:
    head = f"Plan {_of(plan, 'plan')} by rule {_of(plan, 'rule')}: {_of(plan, 'phase')}"
    verdict = _of(plan, "verdict")
    lines = [f"{head}, {verdict}" if verdict else head]
    for step in _maps(plan.get("steps")):
        outcome = _of(step, "outcome") or "not yet"
        lines.append(f"  {_of(step, 'action')} {place(step.get('object'))}: {outcome}. {_of(step, 'text')}")
    milestones = _maps(plan.get("milestones"))
    if milestones:
        lines.append("Recovery contract")
    for row in milestones:
        mark = MARKS.get(_of(row, "state"), "?")
        within = f"within {_number(row, 'within')} s{', late' if row.get('late') else ''}"
        lines.append(f"  {mark} {_of(row, 'id'):4} {_of(row, 'text')} ({within}): {_of(row, 'seen')}")
    return lines


def _change(change: object) -> list[str]:
    if not isinstance(change, Mapping) or not (change.get("failing") or change.get("last_good")):
        return []
    lines = [f"Revision  {_of(change, 'last_good') or '?'} → {_of(change, 'failing') or '?'}"]
    if change.get("commit"):
        lines.append(f"Commit    {_of(change, 'commit')}")
    for label, key in (("Author", "author"), ("Owner", "owner"), ("Moved by", "controller"), ("Written", "writer")):
        if change.get(key):
            lines.append(f"{label:9} {_of(change, key)}")
    return lines


def _entry(entry: Mapping[str, object]) -> str:
    return f"  {_of(entry, 'at')[11:19]}  {_of(entry, 'kind'):10} {_of(entry, 'text')}"


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def _of(item: Mapping[str, object], key: str) -> str:
    value = item.get(key)
    return "" if value is None else str(value)


def _number(item: Mapping[str, object], key: str) -> str:
    value = item.get(key)
    return f"{value:g}" if isinstance(value, int | float) else "?"


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _maps(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
