"""The daemon itself: run it, ask whether it could run, print what is in force."""

import asyncio
import sys
from importlib.metadata import version as installed

import click

from daemon.cli.output import FINDINGS, emit, output_option, table
from daemon.settings import Loaded, load, printed, process_environment

CONFIG = click.option("--config", "config_file", default="", help="YAML file with settings.")
MODE = click.option("--mode", type=click.Choice(["observe", "propose", "auto"]), help="Upper bound for all rules.")
RULES = click.option("--rules", default="", help="Rule folders and files, comma-separated.")
BIND = click.option("--bind", default="", help="address:port of the server.")
KUBECONFIG = click.option("--kubeconfig", default="", help="Path; default: as kubectl, or the pod's service account.")
CLUSTER = click.option("--cluster", default="", help="The cluster's name in refs and messages.")


@click.command()
@CONFIG
@MODE
@RULES
@BIND
@KUBECONFIG
@CLUSTER
@click.option("--debug", is_flag=True, help="Log more.")
def run(*, config_file: str, debug: bool, **flags: str | None) -> None:
    """Run the daemon against the cluster of the present kubeconfig or pod."""
    import logging

    from daemon.app import run as run_daemon
    from daemon.model.redact import redact
    from daemon.runtime import logs
    from daemon.runtime.clock import SystemClock

    loaded = _load(config_file, flags)
    logs.configure(SystemClock(), redact, sys.stderr, level=logging.DEBUG if debug else logging.INFO)
    asyncio.run(run_daemon(loaded.settings))


@click.command("config")
@CONFIG
@output_option("table", "json", "yaml")
def config(config_file: str, output: str) -> None:
    """Print the settings in force and where each comes from; secrets stay in their files."""
    rows = printed(_load(config_file, {}))
    if output == "table":
        table(("SETTING", "VALUE", "FROM"), rows)
        return
    items = [{"setting": name, "value": value, "from": origin} for name, value, origin in rows]
    emit({"apiVersion": "fluxmedic.dev/v1", "kind": "Config", "items": items}, output)


@click.command()
@CONFIG
@KUBECONFIG
@output_option("table", "json", "yaml")
def check(config_file: str, kubeconfig: str, output: str) -> None:
    """Ask whether everything the daemon needs is there; exit 1 when something is not."""
    from daemon.cli.preflight import preflight

    loaded = _load(config_file, {"kubeconfig": kubeconfig})
    rows = asyncio.run(preflight(loaded.settings))
    if output == "table":
        table(("CHECK", "STATE", "FOUND"), [[row.name, row.state, row.detail] for row in rows])
    else:
        items = [{"check": row.name, "state": row.state, "detail": row.detail} for row in rows]
        emit({"apiVersion": "fluxmedic.dev/v1", "kind": "CheckReport", "items": items}, output)
    if any(row.state == "failed" for row in rows):
        raise SystemExit(FINDINGS)


@click.command("version")
@output_option("table", "json", "yaml")
def version(output: str) -> None:
    """Print the version."""
    found = installed("fluxmedic")
    if output == "table":
        click.echo(f"fluxmedic {found}")
    else:
        python = ".".join(map(str, sys.version_info[:3]))
        emit({"apiVersion": "fluxmedic.dev/v1", "kind": "Version", "version": found, "python": python}, output)


def _load(config_file: str, flags: dict[str, str | None]) -> Loaded:
    names = {"bind": "http.bind"}
    given = {names.get(name, name): value for name, value in flags.items() if value}
    return load(process_environment(), config_file, given)
