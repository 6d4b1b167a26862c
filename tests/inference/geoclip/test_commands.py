"""`triovision models ...` from a person's side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from triovision.cli import main
from triovision.inference.card import ModelCard
from triovision.inference.geoclip import installation, release
from triovision.transfer import Transfer

Run = Callable[..., Result]


@pytest.fixture
def run(
    tmp_path: Path, write_tiny_model: Callable[..., Path], tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> Run:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(release, "released_card", lambda: tiny_card)
    return lambda *arguments: CliRunner().invoke(main, ["models", *map(str, arguments)])


@pytest.mark.usefixtures("hub", "small_package")
def test_from_the_list_to_a_checked_model(run: Run, tmp_path: Path) -> None:
    before = run("list").stdout
    assert "  test_efficientnet.noise: Random weights" in before
    assert "- geoclip.mp16: GeoCLIP" in before
    assert "triovision models install geoclip" in before
    installed = run("install", "geoclip")
    assert installed.exit_code == 0, installed.output
    assert "Ready: geoclip.mp16 answers" in installed.stdout
    assert len(list((tmp_path / "cache" / "triovision").glob("*.npy"))) == 2
    assert "* geoclip.mp16: GeoCLIP" in run().stdout
    whole = run("verify")
    assert whole.exit_code == 0
    assert whole.stdout.splitlines() == ["geoclip.mp16: whole", "test_efficientnet.noise: whole"]
    (tmp_path / "models" / "geoclip.mp16" / "config.json").write_text("{}")
    broken = run("verify", "geoclip")
    assert broken.exit_code == 1
    assert "geoclip.mp16: 1 of its files are not right" in broken.stdout
    assert "config.json: has SHA-256" in broken.stderr
    assert run("verify", "test_efficientnet.noise").exit_code == 0
    assert run("install", "geoclip.mp16").exit_code == 0
    assert run("verify").exit_code == 0


@pytest.mark.usefixtures("hub", "small_package")
def test_without_the_packages_it_says_what_is_still_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "missing_packages", lambda: ("geoclip", "transformers"))
    result = run("install", "geoclip")
    assert result.exit_code == 0
    assert "cannot be used yet without geoclip, transformers" in result.stdout
    listed = run("list").stdout
    assert "It cannot be used without geoclip, transformers" in listed
    assert "* geoclip" not in listed


def test_a_card_is_shown_before_and_after(run: Run, write_worldwide: Callable[[Path], Path], tmp_path: Path) -> None:
    offered = json.loads(run("show", "geoclip").stdout)
    assert offered["id"] == "geoclip.mp16"
    assert "not calibrated" in offered["limits"]
    write_worldwide(tmp_path / "models")
    assert json.loads(run("show", "geoclip.mp16").stdout) == offered
    assert json.loads(run("show", "test_efficientnet").stdout)["labels"] == ["CN", "FR", "NA", "US"]


@pytest.mark.usefixtures("hub")
def test_cancelled_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Transfer, "save", interrupted)
    result = run("install", "geoclip")
    assert result.exit_code == 130
    assert "same command again to resume" in result.stderr


def test_without_a_network_one_line_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(installation, "Transfer", _Impatient)
    result = run("install", "geoclip")
    assert result.exit_code == 2
    assert "Check the network" in result.stderr
    assert "embedded model keeps working" in result.stderr
    assert result.stderr.count("\n") == 1


class _Impatient(Transfer):
    """Tries once."""

    def save(self, url: str, *_: Any, **__: Any) -> None:
        raise installation.DownloadError(url, "the connection failed", "Wait")


@pytest.mark.parametrize("arguments", [("install", "nothing"), ("show", "nothing"), ("verify", "nothing"), ("eat",)])
def test_wrong_usage_exits_with_2(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr
