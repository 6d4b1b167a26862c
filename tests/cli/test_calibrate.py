"""`triovision models calibrate` from a person's side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from triovision.cli import main
from triovision.train.evaluation import predict

Run = Callable[..., Result]
NAME = "test_efficientnet.noise"


@pytest.fixture
def run(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))
    return lambda *arguments: CliRunner().invoke(main, ["models", *map(str, arguments)])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Sixty small photos of three sources, half of them with a position, and one file that is no photo."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = []
    for i in range(60):
        pixels = random.integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
        position = ("46.5", "2.5") if i % 2 else ("", "")
        rows.append((f"{i}.jpg", ("FR", "US")[i % 2], *position, "abc"[i % 3], "test" if i >= 55 else "train"))
    (folder / "note.jpg").write_text("this is no photo")
    rows.append(("note.jpg", "FR", "", "", "a", "train"))
    columns = ["file", "country", "lat", "lon", "source", "split_new_sources"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


def shown(run: Run) -> dict[str, object]:
    card: dict[str, object] = json.loads(run("show", NAME).stdout)
    return card


def test_from_calibration_to_reset(run: Run, manifest: Path, tmp_path: Path) -> None:
    before = shown(run)
    assert before["calibration_from"] == "card"
    result = run("calibrate", "test_efficientnet", "--manifest", manifest, "--accuracy", 0.3, "--device", "cpu")
    assert result.exit_code == 0, result.output
    path = tmp_path / "models" / "calibrations" / f"{NAME}.json"
    assert f"in force from now on; it is in {path}" in result.stdout
    rows = {
        line.split()[0]: line.split() for line in result.stdout.splitlines() if line.startswith(("before", "after "))
    }
    assert rows["before"][1:3] == rows["after"][1:3] == ["55", "3"]
    assert rows["before"][3:5] == rows["after"][3:5]  # a temperature changes no ranking
    assert "1 of 56 photos could not be read" in result.stderr
    assert "note.jpg" in result.stderr
    after = shown(run)
    assert after["calibration_from"] == str(path)
    assert isinstance(after["calibration"], dict)
    assert after["calibration"]["fitted_on"].startswith("55 photos of 3 sources, manifest mine.csv")
    assert after["calibration"]["radius_factor"] != 1
    again = run("calibrate", NAME, "--manifest", manifest, "--accuracy", 0.3, "--device", "cpu")
    assert again.exit_code == 0
    assert shown(run) == after  # the card's calibration is the start, not the stored one
    assert f"removed {path}" in run("calibrate", NAME, "--reset").stdout
    assert shown(run) == before
    assert "had no stored calibration" in run("calibrate", NAME, "--reset").stdout


def test_it_says_that_the_model_always_abstains(run: Run, manifest: Path) -> None:
    # Noise: no 20 photos of highest probability are all right.
    result = run("calibrate", NAME, "--manifest", manifest, "--accuracy", 1, "--device", "cpu")
    assert "The model always abstains: no 20 photos" in result.stdout
    answer = CliRunner().invoke(main, ["predict", str(manifest.parent / "0.jpg"), "--model", NAME, "--device", "cpu"])
    assert "Not sure" in answer.stdout


def test_test_photos_are_never_used(run: Run, manifest: Path) -> None:
    result = run("calibrate", NAME, "--manifest", manifest, "--where", "split_new_sources=test")
    assert result.exit_code == 2
    assert "marked `test`" in result.stderr


def test_too_few_photos_store_nothing(run: Run, manifest: Path) -> None:
    result = run("calibrate", NAME, "--manifest", manifest, "--where", "source=a", "--device", "cpu")
    assert result.exit_code == 2
    assert "at least 50 photos" in result.stderr
    assert shown(run)["calibration_from"] == "card"


def test_ctrl_c_stores_nothing(run: Run, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "predict_files", interrupt)
    result = run("calibrate", NAME, "--manifest", manifest, "--device", "cpu")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "Cancelled. Nothing was stored.")
    assert shown(run)["calibration_from"] == "card"


@pytest.mark.parametrize("arguments", [(NAME,), ("nothing", "--reset")])
def test_wrong_usage_is_refused(run: Run, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIOVISION_MANIFEST", raising=False)
    assert run("calibrate", *arguments).exit_code == 2


def test_figures_are_measured_without_photos_marked_test(run: Run, manifest: Path, tmp_path: Path) -> None:
    result = run("figures", "test_efficientnet", "--manifest", manifest, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "1 of 56 photos could not be read" in result.stderr
    written = json.loads((tmp_path / "models" / NAME / "figures.json").read_text("utf-8"))
    assert (written["model"], written["photos"], written["sources"]) == (NAME, 55, 3)
    assert {one["country"]: one["photos"] for one in written["countries"]} == {"FR": 28, "US": 27}
    nothing = run("figures", NAME, "--manifest", manifest, "--where", "split_new_sources=test")
    assert nothing.exit_code == 2
    assert "marked `test`" in nothing.stderr
