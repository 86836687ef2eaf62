"""The command line: one module a command group, each imported when it is asked for."""

import sys
from importlib import import_module

import click

from daemon.cli.output import told

COMMANDS = {
    "run": ("daemon", "Run the daemon against the cluster of the present kubeconfig or pod."),
    "demo": ("demo", "Play an incident: the whole daemon against a simulated cluster and a fake Slack."),
    "check": ("daemon", "Ask whether everything the daemon needs is there: API, kinds, rights, Slack, ledger, clock."),
    "config": ("daemon", "Print the settings in force and where each comes from."),
    "get": ("ask", "List incidents, objects, rules or silences of a running daemon."),
    "describe": ("ask", "Tell everything about one incident."),
    "timeline": ("ask", "Print the timeline of one incident."),
    "why": ("ask", "Say why an object is, or is not, in an incident."),
    "ack": ("ask", "Acknowledge an incident: somebody looks at it."),
    "note": ("ask", "Write a note into an incident's timeline."),
    "resolve": ("ask", "Close an incident by hand."),
    "approve": ("ask", "Agree to a proposed plan."),
    "deny": ("ask", "Turn a proposed plan down."),
    "silence": ("silence", "Mute messages about some incidents for a while: add, list, expire."),
    "actions": ("ask", "Pause or resume all actions."),
    "rules": ("rules", "Check, test, explain and list rule files."),
    "record": ("recordings", "Write what the cluster shows into a recording, without secrets."),
    "replay": ("recordings", "Run a recording through the engine and print what would have been said and done."),
    "notify": ("notify", "Send a test message to a target."),
    "version": ("daemon", "Print the version."),
    "completion": ("completion", "Print the completion script of a shell."),
}
"""Every command with the module that has it and its one line of help."""


class Lazy(click.Group):
    """A group that imports a command's module when the command is run, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"daemon.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Keep Flux CD clusters healthy: one root cause, one incident, one proven fix."""


def main() -> None:
    """Run the command line."""
    with told():
        try:
            sys.exit(cli(standalone_mode=False))
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort as error:
            raise KeyboardInterrupt from error
