"""`fluxmedic demo`: an incident from the first commit to the proven fix, without a cluster and without Slack."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from daemon.cli.figures import numeric
from daemon.cli.output import FINDINGS, INTERRUPTED, emit, output_option
from daemon.model.errors import ConfigError

PREFERRED, ANY = "127.0.0.1:8080", "127.0.0.1:0"
"""Where the page is when the port is free; else any free port, unless --bind asked for one."""
WIDE = 140
"""Columns where there is no terminal: a log has no border."""
LINGER = 15.0
"""Real seconds that the pages stay up after the story."""


@click.command()
@click.option("--scenario", default="seed-cilium", show_default=True, help="Which incident.")
@click.option("--mode", type=click.Choice(["observe", "propose", "auto"]), default="observe", show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 50),
    callback=numeric,
    default=4.0,
    show_default=True,
    help="How fast time runs.",
)
@click.option("--exit", "leave", is_flag=True, help="Leave when the incident ends; else the pages stay up a while.")
@click.option("--no-web", is_flag=True, help="Show no addresses and do not wait for readers of the pages.")
@click.option("--bind", default="", help=f"address:port of the page. [default: {PREFERRED}, or a free port]")
@click.option("--picture", type=click.Path(path_type=Path), help="Write what the terminal showed as an SVG, too.")
@output_option("table", "json", "yaml")
def demo(
    *,
    scenario: str,
    mode: str,
    speed: float,
    leave: bool,
    no_web: bool,
    bind: str,
    picture: Path | None,
    output: str,
) -> None:
    """Play an incident: the whole daemon against a simulated cluster and a fake Slack, over real HTTP."""
    import logging

    from rich.console import Console

    from daemon.cli.stage import Options, Stage
    from daemon.cli.terminal import Terminal
    from daemon.model.redact import redact
    from daemon.model.remedies import Mode
    from daemon.runtime import logs
    from daemon.simulator.scenarios import SCENARIOS

    found = SCENARIOS.get(scenario)
    if found is None:
        raise click.UsageError(f"no scenario is called {scenario!r}; there are: {', '.join(SCENARIOS)}")
    linger = 0.0 if leave or no_web else LINGER
    console = Console(stderr=output != "table", highlight=False, markup=False, emoji=False, record=picture is not None)
    console.width = console.width if console.is_terminal else WIDE
    for address in [bind] if bind else [*([] if no_web else [PREFERRED]), ANY]:
        options = Options(found, Mode(mode), speed, address, linger)
        terminal = Terminal(console, options, web=not no_web)
        with TemporaryDirectory(prefix="fluxmedic-demo-") as folder:
            stage = Stage(options, Path(folder), terminal)
            logs.configure(stage.clock, redact, sys.stderr, level=logging.ERROR)
            try:
                show = asyncio.run(stage.play())
            except ConfigError:
                if address != PREFERRED or bind:
                    raise
                continue
            break
    if picture is not None:
        picture.write_text(console.export_svg(title="fluxmedic demo", unique_id="demo"), encoding="utf-8")
    if output != "table":
        emit(show.report(), output)
    if show.fault:
        raise SystemExit(FINDINGS)
    if not show.over:
        raise SystemExit(INTERRUPTED)
