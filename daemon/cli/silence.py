"""Silences of a running daemon: ask for quiet, with an end and a reason; see what it would mute; end it early."""

import math
from fnmatch import fnmatchcase

import click

from daemon.cli.figures import length, spelt
from daemon.cli.output import emit, output_option, place, printable, say, table
from daemon.cli.server import Document, ask, command, server_options
from daemon.rules.catalogue import SILENCE_KEYS, is_anything

KEYS = SILENCE_KEYS | {"incident"}
"""What a silence may ask of an incident."""


@click.group()
def silence() -> None:
    """Mute messages about some incidents for a while; they are still opened, watched and written down."""


@silence.command()
@click.argument("matcher", nargs=-1, required=True, metavar="KEY=GLOB...")
@click.option(
    "--for", "seconds", type=length(least=1.0), metavar="DURATION", required=True, help="How long, such as 30m or 2h."
)
@click.option("--comment", required=True, help="Why: whoever finds it must know.")
@click.option("--preview", is_flag=True, help="Only show which open incidents it would mute.")
@server_options
def add(matcher: tuple[str, ...], seconds: float, comment: str, server: str, token_file: str, *, preview: bool) -> None:
    """Begin a silence for kind=, namespace=, name=, rule= or incident=; all of them must fit."""
    for pair in matcher:
        key, _, pattern = pair.partition("=")
        if key not in KEYS or not pattern or {",", "="} & set(pattern):
            raise click.UsageError(f"{pair!r} matches nothing: write KEY=GLOB with one of {', '.join(sorted(KEYS))}")
    if is_anything(dict(pair.split("=", 1) for pair in matcher)):
        raise click.UsageError("this silence matches everything: name a kind, namespace, name, rule or incident")
    if not comment.strip():
        raise click.BadParameter("say why: this is blank", param_hint="--comment")
    muted = [each for each in _open(server) if _fits(matcher, each)]
    for each in muted:
        click.echo(printable(f"{each.get('id')}  {place(each.get('root'))}  {each.get('cause')}"))
    if preview:
        say(f"would mute {len(muted)} open incident(s); nothing is changed")
        return
    whole = math.ceil(seconds)
    found = command(server, token_file, "silence", ",".join(matcher), text=comment, seconds=str(whole))
    say(f"silence {found['id']} for {spelt(whole)} handed over; it mutes {len(muted)} open incident(s) now")


@silence.command("list")
@output_option("table", "json", "yaml", "name")
@server_options
def list_silences(output: str, server: str, token_file: str) -> None:
    """List the silences in force, with who asked for them and why."""
    del token_file
    found = ask(server, "/api/v1/silences")
    items = _items(found)
    if output in ("json", "yaml"):
        emit(found, output)
    elif output == "name":
        for each in items:
            click.echo(printable(str(each["id"])))
    elif not items:
        say("No silences.")
    else:
        fields = ("id", "matcher", "ends_at", "by", "comment")
        table([field.upper() for field in fields], [[str(each[field]) for field in fields] for each in items])


@silence.command()
@click.argument("wanted", metavar="ID")
@server_options
def expire(wanted: str, server: str, token_file: str) -> None:
    """End a silence now, by its id or a unique beginning of it."""
    known = [str(each["id"]) for each in _items(ask(server, "/api/v1/silences"))]
    found = [each for each in known if each.startswith(wanted)]
    if len(found) != 1:
        raise click.UsageError(f"{len(found)} silences begin with {wanted!r}; see `fluxmedic silence list`")
    if found[0].startswith("file:"):
        raise click.UsageError(f"{found[0]} stands in a rule file: take it out there")
    command(server, token_file, "expire", found[0])
    say(f"silence {found[0]}: end handed over")


def _open(server: str) -> list[Document]:
    return [each for each in _items(ask(server, "/api/v1/incidents")) if each.get("state") != "resolved"]


def _fits(matcher: tuple[str, ...], incident: Document) -> bool:
    """Say whether a matcher is about an incident, as the core will say it."""
    root, rules = incident.get("root"), incident.get("rules")
    facts: dict[str, object] = {**(root if isinstance(root, dict) else {}), "incident": incident.get("id")}
    for pair in matcher:
        key, _, pattern = pair.partition("=")
        values = rules if key == "rule" and isinstance(rules, list) else [facts.get(key, "")]
        if not any(fnmatchcase(str(value), pattern) for value in values):
            return False
    return True


def _items(found: Document) -> list[Document]:
    items = found.get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
