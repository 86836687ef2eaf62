"""Completion scripts, from click's own."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell: source it, or put it where the shell looks."""
    maker = get_completion_class(shell)
    assert maker is not None  # noqa: S101 - click knows these three
    root = ctx.find_root().command
    click.echo(maker(root, {}, "fluxmedic", "_FLUXMEDIC_COMPLETE").source())
