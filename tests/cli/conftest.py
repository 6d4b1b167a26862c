"""The command line with one tiny model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from triovision.cli import main


@pytest.fixture
def run(
    tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))

    def invoke(*arguments: object, input: bytes | None = None) -> Result:  # noqa: A002 - click's name
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=input)

    return invoke
