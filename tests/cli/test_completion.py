from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from triovision.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_calls_the_command_for_completions(run: Callable[..., Result], shell: str) -> None:
    script = run("completion", shell).stdout
    assert "_TRIOVISION_COMPLETE=" in script
    assert "triovision" in script


def test_commands_are_completed() -> None:
    environment = {"_TRIOVISION_COMPLETE": "bash_complete", "COMP_WORDS": "triovision do", "COMP_CWORD": "1"}
    result = CliRunner().invoke(main, prog_name="triovision", env=environment)
    assert result.stdout.strip() == "plain,doctor"
