"""Commands of a position study and of the architecture benchmark."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from triovision.cli import main
from triovision.metrics.position import METHODS, read_position_metrics
from triovision.train.recipes.position_recipe import RECIPES
from triovision.train.tuning import position_benchmark as benchmark

#: Without these, two places of FR are left, one a fold, and one of JP, which is in the training photos of every fold.
FEW_PLACES = ("FR_2", "JP_1", "JP_2")


@pytest.fixture(scope="module")
def study(towns: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one trial."""
    out = tmp_path_factory.mktemp("study") / "study"
    command = ["train", "gps", "tune", str(towns / "tiny.toml"), "--manifest", str(towns / "manifest.csv")]
    options = ["--out", str(out), "--trials", "1", "--epochs", "1", "--workers", "0"]
    done = CliRunner().invoke(main, [*command, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return out


def test_a_study_leaves_the_best_recipe(study: Path, towns: Path) -> None:
    with (study / "trials.csv").open() as file:
        (trial,) = csv.DictReader(file)
    best, base = RECIPES.read(str(study / "best.toml")), RECIPES.read(str(towns / "tiny.toml"))
    assert best.optimisation.learning_rate == float(trial["params_optimisation.learning_rate"])
    assert best.dropouts.dropout3 == float(trial["params_dropouts.dropout3"])
    assert best.optimisation.epochs == base.optimisation.epochs == 2
    assert best.preprocessing == base.preprocessing
    assert float(trial["value"]) > 0
    assert (study / "cache").is_dir()
    assert not (study / "trial-0000" / "cache").exists()


def test_a_metric_that_is_not_logged_is_refused(towns: Path, tmp_path: Path) -> None:
    command = ["train", "gps", "tune", str(towns / "tiny.toml"), "--manifest", str(towns / "manifest.csv")]
    done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "out"), "--metric", "new_places/top1"])
    assert done.exit_code == 2
    assert "val/median_km, val/loss, new_places/median_km" in done.stderr


def test_a_killed_benchmark_goes_on_and_ends_with_mean_and_spread(
    towns: Path, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (towns / "manifest.csv").read_text().splitlines()
    kept = [line for line in lines if not any(f",{place}," in line for place in FEW_PLACES)]
    (tmp_path / "manifest.csv").write_text("\n".join(kept) + "\n")
    out = tmp_path / "benchmark"
    command = [
        "train", "benchmark", "resnetgps", "--recipe", str(towns / "tiny.toml"), "--folds", "2", "--versions", "v2,v4",
        "--manifest", str(tmp_path / "manifest.csv"), "--root", str(towns), "--out", str(out), "--workers", "0",
        "--set", "optimisation.epochs=1", "--study", str(study),
    ]  # fmt: skip
    measure = benchmark.write_metrics

    def killed(run, *rest):
        # The second run is trained, but the process ends before it is measured.
        if run.folder.parent.name == "v4":
            raise KeyboardInterrupt
        return measure(run, *rest)

    monkeypatch.setattr(benchmark, "write_metrics", killed)
    stopped = CliRunner().invoke(main, command)
    assert stopped.exit_code == 130, stopped.output
    assert "same command" in stopped.stderr
    before = {path: path.stat().st_mtime_ns for path in out.glob("v*/fold-*/*.*")}
    assert (out / "v2" / "fold-1" / "metrics.json") in before
    monkeypatch.setattr(benchmark, "write_metrics", measure)
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert before.items() <= {path: path.stat().st_mtime_ns for path in out.glob("v*/fold-*/*.*")}.items()
    assert "24 photos with a position, 1 without" in done.output
    assert "having one place: JP" in done.output
    assert "run 4 of 4" in done.output

    folds = {v: [read_position_metrics(out / v / f"fold-{n}") for n in (1, 2)] for v in ("v2", "v4")}
    for version, metrics in folds.items():
        assert [m.photos.validation for m in metrics] == [{"fold_1": 8}, {"fold_2": 8}]
        assert {m.recipe["version"] for m in metrics} == {version}
    with (out / "benchmark.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["mode"], row["version"]) for row in rows} == {(mode, v) for mode in METHODS for v in ("v2", "v4")}
    (row,) = (r for r in rows if (r["mode"], r["version"], r["metric"]) == ("true_city", "v4", "mean_km"))
    first, second = (m.splits[f"fold_{n}"]["true_city"].mean_km for n, m in enumerate(folds["v4"], start=1))
    assert float(row["mean"]) == pytest.approx((first + second) / 2)
    assert float(row["sd"]) == pytest.approx(abs(first - second) / 2**0.5)
    assert len(json.loads((out / "benchmark.json").read_text())["rows"]) == len(rows)
    page = (out / "benchmark.html").read_text()
    for heading in (f"Median distance: {METHODS['true_city']}", "Training: median distance by epoch", "Study: history"):
        assert heading in page
    assert "<script src" not in page


def test_an_unknown_version_is_named(towns: Path, tmp_path: Path) -> None:
    command = ["train", "benchmark", "resnetgps", "--versions", "v1,v7", "--manifest", str(towns / "manifest.csv")]
    done = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "`version`" in done.stderr
