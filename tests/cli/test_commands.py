"""The command group that turns errors into one line and an exit status."""

from __future__ import annotations

import errno

import click
import pytest
from click.testing import CliRunner, Result

from triovision.cli.commands import Commands
from triovision.errors import RecipeError


def outcome(error: BaseException, context: BaseException | None = None) -> Result:
    @click.group(cls=Commands)
    def main() -> None:
        """Commands."""

    @main.command()
    def fail() -> None:
        """Fail."""
        if context is None:
            raise error
        try:
            raise context
        except BaseException:
            raise error  # noqa: B904 - the context is what is tested

    return CliRunner().invoke(main, ["fail"])


@pytest.mark.parametrize(
    ("error", "context", "status", "words"),
    [
        (
            RecipeError("mine.toml", "is\x1b[2J wrong", "Correct it"),
            None,
            2,
            "Error: mine.toml: is[2J wrong. Correct it.",
        ),
        (KeyboardInterrupt(), None, 130, "Cancelled."),
        (SystemExit(1), KeyboardInterrupt(), 130, "Cancelled. The same command goes on from the last checkpoint."),
        (SystemExit(130), KeyboardInterrupt(), 130, ""),  # the command has said what it leaves
        (SystemExit(3), None, 3, ""),
        (SystemExit(3), ValueError(), 3, ""),
        (OSError(errno.ENOSPC, "No space left", "a.bin"), None, 2, "Error: a.bin: cannot be written (No space left)."),
        (
            OSError(errno.ENOTDIR, "Not a directory", "a/b"),
            None,
            2,
            "Error: a/b: cannot be read or written (Not a directory). Check the path and its permissions",
        ),
    ],
)
def test_errors_are_one_line_and_a_status(
    error: BaseException, context: BaseException | None, status: int, words: str
) -> None:
    result = outcome(error, context)
    assert result.exit_code == status
    assert result.stderr.startswith(words)
    assert len(result.stderr.splitlines()) == bool(words)


def test_a_defect_keeps_its_traceback() -> None:
    assert isinstance(outcome(ZeroDivisionError()).exception, ZeroDivisionError)
    assert isinstance(outcome(OSError(errno.EIO, "broken")).exception, OSError)
