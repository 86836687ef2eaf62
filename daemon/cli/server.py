"""Talking to a running daemon over its API: the address, the token, and what each failure means for a person."""

import asyncio
import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import click
import orjson

from daemon.cli.output import TimedOut, Unreachable
from daemon.model.errors import ConfigError, DaemonError, Forbidden, Problem

DEFAULT = "http://127.0.0.1:8080"
WITHIN = 10.0
"""Seconds the daemon may take to answer."""

Document = dict[str, object]
CommandT = TypeVar("CommandT", bound=Callable[..., object])


class Refused(DaemonError):
    """The daemon answered, and said no."""


def server_options(command: CommandT) -> CommandT:
    """Add --server and --token-file to a command."""
    token = click.option(
        "--token-file", envvar="FLUXMEDIC_TOKEN_FILE", default="", help="File with the bearer token of commands."
    )
    server = click.option(
        "--server", envvar="FLUXMEDIC_SERVER", default=DEFAULT, show_default=True, help="Address of the daemon."
    )
    return server(token(command))


def ask(server: str, path: str, query: Mapping[str, str] | None = None) -> Document:
    """Return what the daemon says. Raises Unreachable, TimedOut, or Refused with its own words."""
    return asyncio.run(_call(server, "GET", path, query=query))


def command(server: str, token_file: str, verb: str, subject: str = "", **more: str) -> Document:
    """Give the daemon a person's word. Raises as `ask`, Forbidden, or ConfigError for the token."""
    headers = {"Authorization": f"Bearer {_token(token_file)}"} if token_file else {}
    body: dict[str, str] = {"verb": verb, "subject": subject, "actor": getpass.getuser(), **more}
    return asyncio.run(_call(server, "POST", "/api/v1/commands", body=body, headers=headers))


async def _call(
    server: str,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Document:
    import aiohttp

    url = f"{server.rstrip('/')}{path}"
    timeout = aiohttp.ClientTimeout(total=WITHIN)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, params=query, json=body, headers=headers) as answer,
        ):
            raw, status = await answer.read(), answer.status
    except TimeoutError as error:
        raise TimedOut(f"the daemon at {server} did not answer within {WITHIN:.0f} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        why = str(error) or type(error).__name__
        text = f"no daemon answers at {server}: {why}. Is it running? Name another address with --server"
        raise Unreachable(text) from error
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"what answers at {server} is no fluxmedic daemon (HTTP {status})")
    if status in (401, 403):
        raise Forbidden(f"{found.get('message', 'forbidden')}; give --token-file", status=status)
    if status >= 400 and status != 503:  # noqa: PLR2004 - 503 is a readiness that says no, with its reasons
        raise Refused(str(found.get("message", f"HTTP {status}")))
    return found


def _token(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem("the token cannot be read", file=file)) from error
