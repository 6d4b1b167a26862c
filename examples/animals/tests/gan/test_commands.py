"""The whole way from photos to report, and errors in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from examples.animals.gan.commands import gan
from examples.animals.gan.run import HELD_OUT, MADE, NOISE, REST, read_generator
from examples.animals.gan.training import GanModule, make_pictures, picture_grid


def command(*arguments: object) -> Result:
    return CliRunner().invoke(gan, [str(argument) for argument in arguments])


def run(folder: Path, weights: Path, out: Path, overrides: Sequence[str]) -> Result:
    fields = [word for override in overrides for word in ("--set", override)]
    return command("run", "dcgan", "--data", folder, "--weights", weights, "--out", out, "--workers", 0, *fields)


@pytest.fixture(scope="module")
def finished(
    folder: Path, weights: Path, overrides: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("runs") / "foxes"
    return out, run(folder, weights, out, overrides)


def test_from_photos_to_report(finished: tuple[Path, Result]) -> None:
    out, result = finished
    assert result.exit_code == 0, result.output
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["training_photos"] == 12
    assert set(metrics["scores"]) == {MADE, HELD_OUT, REST, NOISE}
    assert {scores["pictures"] for scores in metrics["scores"].values()} == {3}  # as many as the smallest set has
    assert set(metrics["by_epoch"]) == {"1", "2"}
    assert metrics["by_epoch"]["2"] == metrics["scores"][MADE]
    assert metrics["curves"][1].keys() == {"epoch", "values"}
    assert {"discriminator/loss", "generator/loss", "real", "made"} <= metrics["curves"][1]["values"].keys()
    page = (out / "report.html").read_text()
    for text in (
        "cannot be compared with published figures",
        HELD_OUT,
        "The same eight latent vectors after the epochs 1, 2",
    ):
        assert text in page
    assert "It learned from 12 photos of fox." in page
    assert "networks.channels</td>" in page
    assert f"{metrics['scores'][NOISE]['fid']:.1f}" in result.output
    assert "… after epoch 2 | 3 |" in result.output


def test_a_finished_run_is_only_evaluated(
    finished: tuple[Path, Result], folder: Path, weights: Path, overrides: Sequence[str]
) -> None:
    out, first = finished
    trained = (out / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    again = run(folder, weights, out, overrides)
    assert again.output.splitlines()[-8:] == first.output.splitlines()[-8:]
    assert (out / "checkpoints" / "last.ckpt").stat().st_mtime_ns == trained


def test_another_recipe_needs_another_folder(
    finished: tuple[Path, Result], folder: Path, weights: Path, overrides: Sequence[str]
) -> None:
    result = run(folder, weights, finished[0], [*overrides, "loss.real_target=1.0"])
    assert result.exit_code == 2
    assert "holds a run of another recipe" in result.stderr


@pytest.mark.parametrize(
    ("override", "error"),
    [
        (
            "optimisation.batch_size=13",
            "The class fox: has 12 readable training photos, fewer than a batch of 13. "
            "Add photos, or give --set optimisation.batch_size=3",
        ),
        ("evaluation.backbone=resnet18", "resnet18: does not fit the weights"),
    ],
)
def test_what_cannot_be_trained_leaves_no_run_behind(
    folder: Path, weights: Path, overrides: Sequence[str], tmp_path: Path, override: str, error: str
) -> None:
    result = run(folder, weights, tmp_path / "run", [*overrides, override])
    assert result.exit_code == 2
    assert error in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_without_snapshots_has_no_table_of_epochs(
    folder: Path, weights: Path, overrides: Sequence[str], tmp_path: Path
) -> None:
    result = run(folder, weights, tmp_path, [*overrides, "optimisation.epochs=1", "optimisation.snapshot_epochs=5"])
    assert result.exit_code == 0, result.output
    assert "after epoch" not in result.output
    assert "Made pictures by epoch" not in (tmp_path / "report.html").read_text()


def test_ctrl_c_while_it_trains(
    folder: Path, weights: Path, overrides: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GanModule, "training_step", interrupted)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # Lightning would ignore Ctrl-C from then on
    result = run(folder, weights, tmp_path, overrides)
    assert result.exit_code == 130
    assert "The same command goes on" in result.stderr


def test_new_pictures(finished: tuple[Path, Result], tmp_path: Path) -> None:
    result = command("sample", finished[0], "--out", tmp_path / "a.png", "--number", 9, "--seed", 1)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a.png") as grid:
        assert grid.tobytes() == picture_grid(make_pictures(read_generator(finished[0]), 9, seed=1)).tobytes()


def test_pictures_of_no_run(tmp_path: Path) -> None:
    result = command("sample", tmp_path, "--out", tmp_path / "a.png")
    assert result.exit_code == 2
    assert "holds no finished run of a GAN" in result.stderr


def test_no_such_data(tmp_path: Path, weights: Path, overrides: Sequence[str]) -> None:
    result = run(tmp_path / "nothing", weights, tmp_path / "run", overrides)
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
    (tmp_path / "empty.csv").touch()
    result = run(tmp_path / "empty.csv", weights, tmp_path / "run", overrides)
    assert result.exit_code == 2
    assert "empty.csv: cannot be read as CSV" in result.stderr
    assert not (tmp_path / "run").exists()
