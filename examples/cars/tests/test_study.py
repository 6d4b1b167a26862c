"""The commands, from data to the report, with a tiny network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from examples.cars.__main__ import RECIPES, main
from examples.cars.report import confusion_counts
from examples.cars.study import TEST_METRICS, top1_interval
from triovision.cli import main as triovision
from triovision.metrics.country import METRICS, SplitMetrics, read_metrics

TINY = {
    "architecture": "test_resnet",
    "starting_weights": "none",
    "freeze_blocks": 0,
    "preprocessing.input_size": 32,
    "optimisation.precision": "32-true",
    "optimisation.epochs": 2,
    "optimisation.batch_size": 8,
}
OVERRIDES = [part for field, value in TINY.items() for part in ("--set", f"{field}={value}")]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def finished(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    result = invoke("run", "--data", miniature, "--out", out, "--workers", 0, *OVERRIDES)
    assert result.exit_code == 0, result.output
    assert "v2: Second version" in result.stdout
    assert result.stdout.count(" test ") == 2
    return out


def test_one_command_goes_from_data_to_report(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    for heading in ("Accuracy", "Recipe v1", "Recipe v2", "Classes", "Makes and years", "Image sizes", "Boxes"):
        assert f">{heading}</h2>" in page
    summary = json.loads((finished / "metrics.json").read_text())
    assert list(summary) == ["v1", "v2"]
    for name, values in summary.items():
        assert values["test"]["photos"] == 9
        assert values["test"]["top1_low"] <= values["test"]["top1"] <= values["test"]["top1_high"]
        test = SplitMetrics.model_validate_json((finished / name / TEST_METRICS).read_bytes())
        counts = confusion_counts(test, read_metrics(finished / name).labels)
        assert counts.sum(axis=1).tolist() == [3, 3, 3]
        assert np.trace(counts) / 9 == pytest.approx(values["test"]["top1"])


def test_the_same_command_reads_what_is_finished(finished: Path, miniature: Path) -> None:
    before = (finished / "v1" / METRICS).read_bytes()
    result = invoke("run", "--data", miniature, "--out", finished, "--workers", 0, "--recipe", "v1", *OVERRIDES)
    assert result.exit_code == 0, result.output
    assert (finished / "v1" / METRICS).read_bytes() == before
    assert list(json.loads((finished / "metrics.json").read_text())) == ["v1"]


def test_places_are_classes_too_and_their_intervals_are_over_sources(travels: Path, tmp_path: Path) -> None:
    arguments = ("places", "--data", travels, "--fold", 1, "--out", tmp_path, "--workers", 0)
    result = invoke(*arguments, *OVERRIDES)
    assert result.exit_code == 0, result.output
    test = SplitMetrics.model_validate_json((tmp_path / "places" / TEST_METRICS).read_bytes())
    assert test.scores.photos == 3
    assert test.by_source is not None
    assert test.by_source.sources == 1
    assert f"mean over sources {test.by_source.top1_by_source:.1%}" in result.stdout
    interval = top1_interval(test)  # one source cannot be resampled: Wilson's, which never has a width of 0
    assert interval is not None
    assert interval.low < interval.high


def test_the_published_space_is_searched_by_the_package(finished: Path, miniature: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.toml"
    lines = (RECIPES / "space.toml").read_text().splitlines()
    space.write_text("\n".join(line for line in lines if "input_size" not in line))
    manifest = ("--manifest", finished / "manifest.csv", "--root", miniature)
    tuned = ("--space", space, "--trials", 1, "--epochs", 1, "--out", tmp_path / "search", "--workers", 0)
    arguments = ["train", "tune", RECIPES / "v2.toml", *manifest, *tuned, *OVERRIDES]
    result = CliRunner().invoke(triovision, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert "optimisation.batch_size" in (tmp_path / "search" / "best.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--data", "."), "holds neither cars_annos.mat nor a folder `devkit`"),
        (("run", "--data", ".", "--recipe", "v3"), "'v3' is no file, and none of v1, v2 and places"),
        (("places", "--data", "."), "manifest.csv: cannot be read"),
        (("generate",), "holds a devkit already"),
    ],
)
def test_bad_input_is_an_error_in_words(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments == ("generate",):
        (tmp_path / "out" / "devkit").mkdir(parents=True)
    result = invoke(*arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert words in result.stderr
