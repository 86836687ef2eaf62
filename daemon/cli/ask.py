"""Questions to a running daemon, and a person's word to it."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import click

from daemon.cli.output import FINDINGS, emit, output_option, place, printable, say, table
from daemon.cli.server import Document, ask, command, server_options

SEVERITIES = ("info", "warning", "critical")


@click.command()
@click.argument("what", type=click.Choice(["incidents", "objects", "rules", "silences"]))
@click.option("--state", default="", help="Only incidents in this state (open, acknowledged, …).")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only incidents of this severity.")
@click.option("-n", "--namespace", default="", help="Only objects of this namespace.")
@click.option("--health", default="", help="Only objects of this health (Failed, Blocked, …).")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit 1 if an open incident is at least so severe.")
@output_option()
@server_options
def get(
    *,
    what: str,
    state: str,
    severity: str | None,
    namespace: str,
    health: str,
    fail_on: str | None,
    output: str,
    server: str,
    token_file: str,
) -> None:
    """List incidents, objects, rules or silences of a running daemon."""
    del token_file
    asked = {"state": state, "severity": severity or "", "namespace": namespace, "health": health}
    found = ask(server, f"/api/v1/{what}", {key: value for key, value in asked.items() if value})
    items = _items(found)
    if output in ("json", "yaml"):
        emit(found, output)
    elif output == "name":
        for item in items:
            click.echo(printable(_name(what, item)))
    elif not items:
        say(f"No {'open ' if what == 'incidents' and state == 'open' else ''}{what}.")
    else:
        _list(what, items, wide=output == "wide")
    if fail_on is not None and any(_is_loud(item, fail_on) for item in items):
        raise SystemExit(FINDINGS)


@click.command()
@click.argument("what", type=click.Choice(["incident"]))
@click.argument("incident")
@output_option("table", "json", "yaml")
@server_options
def describe(what: str, incident: str, output: str, server: str, token_file: str) -> None:
    """Tell everything about one incident (an id, or a unique beginning of one)."""
    del what, token_file
    found = ask(server, f"/api/v1/incidents/{quote(incident, safe='')}")
    if output != "table":
        emit(found, output)
        return
    from daemon.cli.card import card

    click.echo(printable(card(found)))


@click.command()
@click.argument("incident")
@output_option("table", "json", "yaml")
@server_options
def timeline(incident: str, output: str, server: str, token_file: str) -> None:
    """Print the timeline of one incident."""
    del token_file
    found = ask(server, f"/api/v1/incidents/{quote(incident, safe='')}/timeline")
    if output != "table":
        emit(found, output)
        return
    rows = [
        [_short(entry, "at"), _text(entry, "kind"), _text(entry, "actor"), _text(entry, "text")]
        for entry in _items(found)
    ]
    table(("AT", "KIND", "ACTOR", "TEXT"), rows)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[not] KIND/NAME")
@click.option("-n", "--namespace", default="flux-system", show_default=True, help="Namespace of the object.")
@click.option("--incident", default="", help="Why it is, or is not, in this one.")
@click.option("--rule", default="", help="Only the rule or detector of this name.")
@click.option("--all", "everything", is_flag=True, help="Every rule of its kind and every detector, as `why not` does.")
@output_option("table", "json", "yaml")
@server_options
def why(
    *,
    words: tuple[str, ...],
    namespace: str,
    incident: str,
    rule: str,
    everything: bool,
    output: str,
    server: str,
    token_file: str,
) -> None:
    """Say why an object is in an incident: the way to its root, and the rules that hold, clause by clause.

    `why not KIND/NAME` says of every rule of its kind where it stopped, and of every detector what it found. Exit 1
    when the daemon knows no such object or no such incident.
    """
    del token_file
    against = words[0].lower() == "not"
    wanted = words[1 if against else 0] if len(words) == 1 + against else ""
    kind, _, name = wanted.partition("/")
    if not name:
        raise click.UsageError("name the object as KIND/NAME, for example kustomization/apps")
    asked = {"kind": kind, "namespace": namespace, "name": name, "incident": incident}
    from daemon.cli.card import explains, explanation, narrowed

    found = narrowed(ask(server, "/api/v1/why", {key: value for key, value in asked.items() if value}), rule)
    if not explains(found):
        raise click.UsageError(f"no rule about this kind and no detector is called {rule!r}")
    if output != "table":
        emit(found, output)
    else:
        click.echo(printable(explanation(found, everything=everything or against or bool(rule))))
    if not found.get("known"):
        raise SystemExit(FINDINGS)


@click.command()
@click.argument("incident")
@server_options
def ack(incident: str, server: str, token_file: str) -> None:
    """Acknowledge an incident: somebody looks at it."""
    command(server, token_file, "acknowledge", incident)
    say(f"incident {incident}: acknowledgement handed over; `fluxmedic timeline {incident}` shows what came of it")


@click.command()
@click.argument("incident")
@click.argument("text")
@server_options
def note(incident: str, text: str, server: str, token_file: str) -> None:
    """Write a note into an incident's timeline."""
    command(server, token_file, "note", incident, text=text)
    say(f"incident {incident}: note handed over")


@click.command()
@click.argument("incident")
@server_options
def resolve(incident: str, server: str, token_file: str) -> None:
    """Close an incident by hand."""
    command(server, token_file, "resolve", incident)
    say(f"incident {incident}: resolution handed over")


@click.command()
@click.argument("plan")
@click.option("--yes", is_flag=True, help="Do not ask again.")
@server_options
def approve(plan: str, yes: bool, server: str, token_file: str) -> None:
    """Agree to a proposed plan, after showing exactly what it will do; it is bound to what is shown."""
    found = _plan(server, plan)
    steps = found.get("steps")
    for index, step in enumerate(steps if isinstance(steps, Sequence) else (), start=1):
        say(f"{index}. {_text(step, 'action')}: {_text(step, 'text')}")
    if not yes:
        click.confirm("Run this?", abort=True, err=True)
    command(server, token_file, "approve", str(found["plan"]), digest=str(found.get("digest", "")))
    say(f"plan {found['plan']}: approval handed over")


@click.command()
@click.argument("plan")
@server_options
def deny(plan: str, server: str, token_file: str) -> None:
    """Turn a proposed plan down."""
    found = _plan(server, plan)
    command(server, token_file, "deny", str(found["plan"]))
    say(f"plan {found['plan']}: turned down")


@click.command()
@click.argument("what", type=click.Choice(["pause", "resume"]))
@server_options
def actions(what: str, server: str, token_file: str) -> None:
    """Pause or resume all actions: the kill switch. Watching and telling go on."""
    command(server, token_file, what)
    say("all actions are paused" if what == "pause" else "actions may run again")


def _plan(server: str, wanted: str) -> Document:
    """Return the plan of this id, or of the incident of this id. A usage error when there is none."""
    for incident in _items(ask(server, "/api/v1/incidents")):
        plan = incident.get("remediation")
        if isinstance(plan, dict) and wanted in (plan.get("plan"), incident.get("id")):
            return plan
    raise click.UsageError(
        f"no plan or incident with a plan is called {wanted!r}; see `fluxmedic get incidents -o wide`"
    )


def _list(what: str, items: Sequence[Document], *, wide: bool) -> None:
    if what == "incidents":
        header = ["ID", "STATE", "SEVERITY", "ROOT", "MEMBERS", "OPENED", *(["PLAN", "RULES"] if wide else []), "CAUSE"]
        table(header, [_incident_row(item, wide=wide) for item in items])
    elif what == "objects":
        header = ["KIND", "NAMESPACE", "NAME", "HEALTH", "REASON", *(["REVISION"] if wide else []), "MESSAGE"]
        fields = ["kind", "namespace", "name", "health", "reason", *(["revision"] if wide else []), "message"]
        table(header, [[_text(item, field) for field in fields] for item in items])
    elif what == "silences":
        times = [*(["starts_at"] if wide else []), "ends_at"]
        rows = [
            [_text(item, "id"), _text(item, "matcher"), *(_short(item, field) for field in times)]
            + [_text(item, field) for field in ("by", "comment")]
            for item in items
        ]
        table(("ID", "MATCHER", *(["STARTS"] if wide else []), "ENDS", "BY", "COMMENT"), rows)
    else:
        fields = ["name", "severity", "mode", "enabled", "faults", "kinds"]
        table([field.upper() for field in fields], [[_text(item, field) for field in fields] for item in items])


def _incident_row(item: Document, *, wide: bool) -> list[str]:
    members, plan = item.get("members"), item.get("remediation")
    row = [_text(item, "id"), _text(item, "state"), _text(item, "severity"), place(item.get("root"))]
    row += [str(len(members) if isinstance(members, Sequence) else 0), _short(item, "opened_at")]
    if wide:
        rules = item.get("rules")
        named = f"{_text(plan, 'plan')} {_text(plan, 'phase')}" if isinstance(plan, Mapping) else "-"
        row += [named, ",".join(map(str, rules)) if isinstance(rules, Sequence) else ""]
    return [*row, _text(item, "cause")]


def _items(found: Document) -> list[Document]:
    return _maps(found.get("items"))


def _maps(items: object) -> list[Document]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _name(what: str, item: Document) -> str:
    if what == "incidents":
        return f"incident/{_text(item, 'id')}"
    return _text(item, "id") if what == "silences" else place(item) or _text(item, "name")


def _is_loud(item: Document, least: str) -> bool:
    severity = _text(item, "severity")
    is_open = _text(item, "state") not in ("", "resolved")
    return is_open and severity in SEVERITIES and SEVERITIES.index(severity) >= SEVERITIES.index(least)


def _text(item: object, key: str) -> str:
    value = item.get(key, "") if isinstance(item, Mapping) else ""
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _short(item: object, key: str) -> str:
    """Return a moment without its date's century and its fractions: 2026-11-23 18:01:05Z."""
    return _text(item, key)[:19].replace("T", " ") + "Z" if _text(item, key) else ""
