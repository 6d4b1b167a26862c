"""Command `triovision completion`: the script that completes commands and options in a shell."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in SHELL. It needs bash 4.4, zsh or fish.

    \b
    Examples:
      eval "$(triovision completion bash)"                                           # in ~/.bashrc
      triovision completion fish > ~/.config/fish/completions/triovision.fish
    """  # noqa: D301 - click reads the escape
    command = context.find_root().command
    click.echo(_SHELLS[shell](command, {}, "triovision", "_TRIOVISION_COMPLETE").source())
