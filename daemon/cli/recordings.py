"""Recordings: writing one from a live cluster, and running one through the engine on virtual time."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from daemon.cli.figures import length
from daemon.cli.output import FINDINGS, emit, output_option, place, say, table
from daemon.model.documents import Document
from daemon.model.errors import ConfigError, Problem

MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"])


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--rules", "places", multiple=True, type=click.Path(path_type=Path), help="Rule folder or file.")
@click.option("--until", type=MOMENT, help="RFC 3339 in UTC; default: ten minutes after the last line.")
@click.option("--cluster", default="default", show_default=True, help="Name of the cluster in refs.")
@click.option("--against", multiple=True, type=click.Path(path_type=Path), help="Other rules: print what differs.")
@output_option("table", "json", "yaml")
def replay(
    *,
    recording: Path,
    places: tuple[Path, ...],
    until: datetime | None,
    cluster: str,
    against: tuple[Path, ...],
    output: str,
) -> None:
    """Run a recording through the engine and print what would have been opened, said and done.

    With --against, run it through those rules too and print the difference; exit 1 when there is one.
    """
    from daemon.cli.rules import load_rules
    from daemon.replay.replay import replay as replayed

    def played(chosen: tuple[Path, ...]) -> Document:
        with opened(recording) as lines:
            return replayed(lines, load_rules(chosen), cluster=cluster, name=str(recording), until=utc(until))

    report = played(places)
    if against:
        _compare(report, played(against), output)
        return
    problems = report.get("problems")
    for problem in problems if isinstance(problems, list) else ():
        say(f"warning: {problem}")
    if output != "table":
        emit(report, output)
        return
    _print(report)


@click.command()
@click.option(
    "-o", "file", required=True, type=click.Path(path_type=Path), help="Where to write (.jsonl or .jsonl.gz)."
)
@click.option(
    "--for",
    "seconds",
    type=length(bare=True),
    default="0s",
    metavar="DURATION",
    help="When to stop, such as 90 (seconds) or 10m; 0: when interrupted.",
)
@click.option("--kubeconfig", default="", help="Path; default: KUBECONFIG, the pod's service account, ~/.kube/config.")
@click.option("--cluster", default="default", show_default=True, help="Name of the cluster in refs.")
def record(file: Path, seconds: float, kubeconfig: str, cluster: str) -> None:
    """Write what the cluster shows into a recording, without secrets."""
    import asyncio

    from daemon.cli.recorder import record_cluster

    say(f"recording into {file}; Ctrl-C ends")
    count = asyncio.run(record_cluster(file, seconds, kubeconfig, cluster))
    say(f"{count} lines written to {file}")


def _compare(before: Document, after: Document, output: str) -> None:
    from daemon.cli.compared import rows_of, summary
    from daemon.replay.difference import difference

    found = difference(before, after)
    rows = rows_of(found)
    if output != "table":
        emit(found, output)
    else:
        if rows:
            table(("", "ROOT", "WHAT"), rows)
        say(summary(found))
    if rows:
        raise SystemExit(FINDINGS)


@contextmanager
def opened(path: Path) -> Iterator[Iterator[bytes]]:
    """Give the lines of a recording, gzip or plain. Raises ConfigError when it is not there."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield _unpacked(path, raw) if packed else iter(raw)
    except OSError as error:
        raise ConfigError(Problem(f"the recording cannot be read: {error.strerror}", file=str(path))) from error


def utc(at: datetime | None) -> datetime | None:
    """Return a moment given on the command line as aware UTC."""
    return at.replace(tzinfo=UTC) if at is not None else None


def _unpacked(path: Path, raw: IO[bytes]) -> Iterator[bytes]:
    """Yield every whole line; a file cut in the middle gives what it has, with a warning."""
    try:
        with gzip.open(raw) as lines:
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        say(f"warning: {path} is cut or damaged, what could be read is used: {error}")


def _print(report: Mapping[str, object]) -> None:
    incidents, notifications, actions = (_items(report, key) for key in ("incidents", "notifications", "actions"))
    rows = []
    for incident in incidents:
        members = incident.get("members")
        count = len(members) if isinstance(members, list) else 0
        words = [str(incident.get(key, "")) for key in ("id", "state", "severity")]
        rows.append([*words, str(incident.get("opened_at"))[11:19], str(count), str(incident.get("cause", ""))])
    if rows:
        table(("INCIDENT", "STATE", "SEVERITY", "OPENED", "MEMBERS", "CAUSE"), rows)
    for action in actions:
        verdict = f"{action.get('mode')}: {action.get('verdict')}"
        say(f"action: {action.get('action')} {place(action.get('object'))} ({verdict})")
    say(f"{report.get('signals')} signals, {len(incidents)} incidents, {len(notifications)} notifications")


def _items(report: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    found = report.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
