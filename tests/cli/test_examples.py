"""Examples in the help of the commands: each command has two, and what they say is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from triovision.cli import main

#: `triovision …`, also behind a pipe or variables, up to a pipe, a redirection or a comment.
COMMAND = re.compile(r"\btriovision ([^|>#\n]+?)\s*(?:\)\"|$|[|>#])")


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from leaves(child, (*path, name))


def examples(command: click.Command) -> list[list[str]]:
    _, _, text = (command.help or "").partition("Examples:")
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(found[1]) for line in lines if (found := COMMAND.search(line))]


@pytest.mark.parametrize("path", [path for path, _ in leaves(main)], ids=" ".join)
def test_a_command_has_two_examples_that_it_understands(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("my-places", "holiday", "photos"):  # which must exist
        Path(folder).mkdir()
    command = dict(leaves(main))[path]
    found = examples(command)
    assert len(found) >= 2
    for words in found:
        assert understood_by(words) is command


def understood_by(words: list[str]) -> click.Command:
    """Command that takes these words; all its options are checked, and none is run."""
    command: click.Command = main
    while isinstance(command, click.Group):
        name, *rest = words
        if name in command.commands:
            command, words = command.commands[name], rest
        else:  # `organise SOURCE`
            command = command.commands["run"]
    command.make_context("example", words)
    return command
