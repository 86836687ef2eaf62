"""What every command shares: data on stdout, words on stderr, exit codes, and nothing from the cluster as markup.

Heavy libraries are imported where they are used, so that a command that needs no cluster starts at once.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import click
import orjson

from daemon.model.errors import ClusterError, ConfigError, DaemonError, Forbidden, LedgerError

DONE, FINDINGS, USAGE, LINT, UNREACHABLE, TIMED_OUT, FORBIDDEN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130
"""Exit codes (a contract)."""
FORMATS = ("table", "wide", "json", "yaml", "name")

Row = Sequence[str]
CommandT = TypeVar("CommandT", bound=Callable[..., object])


class Unreachable(DaemonError):
    """The daemon cannot be reached."""


class TimedOut(DaemonError):
    """Something did not come in time."""


def output_option(*formats: str) -> Callable[[CommandT], CommandT]:
    """Return the option -o with these formats, the first as the default."""
    choice = click.Choice(formats or FORMATS)
    return click.option("-o", "--output", "output", type=choice, default=choice.choices[0], help="How to print.")


def printable(text: str) -> str:
    """Return the text without anything that moves a terminal's cursor or turns text around (fault 109)."""
    return "".join(letter if _is_plain(letter) else f"\\x{ord(letter):02x}" for letter in text)


def say(text: str) -> None:
    """Print words for a person, on stderr."""
    click.echo(printable(text), err=True)


def emit(document: object, output: str) -> None:
    """Print one document as JSON or YAML, on stdout."""
    if output == "yaml":
        import yaml

        plain = orjson.loads(orjson.dumps(document))
        click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def table(header: Row, rows: Sequence[Row]) -> None:
    """Print rows in columns, on stdout; the last column takes what is left and is never cut."""
    shown = [[printable(cell).replace("\n", " ") for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(header))]
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def place(ref: object) -> str:
    """Return Kind/namespace/name of a ref as a document has it."""
    if not isinstance(ref, Mapping):
        return ""
    parts = [str(ref.get(key, "")) for key in ("kind", "namespace", "name")]
    return "/".join(part for part in parts if part)


@contextmanager
def told() -> Iterator[None]:
    """Turn errors into one clear message and the right exit code; a trace is never shown for what we foresaw."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            say(f"error: {problem}")
        _leave(USAGE)
    except Forbidden as error:
        say(f"error: {error}")
        _leave(FORBIDDEN)
    except TimedOut as error:
        say(f"error: {error}")
        _leave(TIMED_OUT)
    except (ClusterError, Unreachable) as error:
        say(f"error: {error}")
        _leave(UNREACHABLE)
    except LedgerError as error:
        say(f"error: {error}")
        _leave(USAGE)
    except DaemonError as error:
        say(f"error: {error}")
        _leave(FINDINGS)
    except BrokenPipeError:
        sys.stderr.close()
        _leave(DONE)
    except KeyboardInterrupt:
        say("interrupted")
        _leave(INTERRUPTED)


def _leave(code: int) -> NoReturn:
    sys.exit(code)


def _is_plain(letter: str) -> bool:
    return letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
