"""Studies of a model, read from the folders of training commands: results by hand, and one real study."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from triovision.cli import main
from triovision.errors import RecipeError
from triovision.metrics.model_studies import MAX_EPOCHS, STUDIES, Comparison, HyperparameterStudy, read_studies
from triovision.metrics.position import METHODS
from triovision.train.evaluation.model_studies import position_curves, proportion_interval, write_studies
from triovision.train.tuning.model_studies import read_folders

CARD: Any = SimpleNamespace(id="tiny.photos", weights_sha256="a" * 64)
SCORES = ("top-1,new top-5,new macro recall", "0.5,0.75,0.25", "0.7,0.8,0.3")


def comparison(folder: Path, sources: bool = False) -> Path:
    folder.mkdir()
    low, *bounds = (",new top-1 low,new top-1 high", ",0.4,0.6", ",0.6,0.9") if sources else ("", "", "")
    names, *rows = SCORES
    lines = [f"run,recipe,epochs,new photos,new {names}{low}"]
    lines += [f"{run},tiny,3,20,{row}{bound}" for run, row, bound in zip(("a", "b"), rows, bounds, strict=True)]
    (folder / "comparison.csv").write_text("\n".join(lines) + "\n")
    return folder


def cross_validation(folder: Path, name: str, folds: int = 2) -> Path:
    folder.mkdir()
    result = {
        "recipe": {"name": name},
        "folds": {f"fold-{n}": {"photos": 10} for n in range(folds)},
        "mean": {"top1": 0.5, "top5": None, "macro_recall": 0.25, "aurc": 0.1},
        "sd": {"top1": 0.1, "top5": None, "macro_recall": None},
    }
    (folder / "cv.json").write_text(json.dumps(result))
    return folder


def benchmark(folder: Path) -> Path:
    folder.mkdir()
    result = {
        "photos": {v: {f"fold-{n}": {"validation": {f"fold_{n}": 8}} for n in (1, 2)} for v in ("v1", "v2")},
        "recipes": {v: {"optimisation": {"epochs": 4}} for v in ("v1", "v2")},
        "rows": [
            {"mode": mode, "version": version, "metric": metric, "mean": mean, "sd": 10}
            for mode in METHODS
            for version in ("v1", "v2")
            for metric, mean in (("median_km", 1000), ("r2_lat", None))
        ],
    }
    (folder / "benchmark.json").write_text(json.dumps(result))
    return folder


def test_wilsons_interval_is_that_worked_out_by_hand() -> None:
    interval = proportion_interval(0.5, 10)  # (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.96
    assert (interval.low, interval.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert proportion_interval(1, 10).low == pytest.approx(0.7225, abs=1e-4)


def test_runs_of_one_recipe_keep_their_names_and_their_intervals(tmp_path: Path) -> None:
    (study,) = read_folders([comparison(tmp_path / "by-photo")], "command")
    assert isinstance(study, Comparison)
    assert [(row.name, row.on, row.photos) for row in study.rows] == [("tiny (a)", "new", 20), ("tiny (b)", "new", 20)]
    assert study.interval == "photos"
    first = study.rows[0].metrics
    assert (first["top1"].value, first["top5"].value, first["macro_recall"].value) == (0.5, 0.75, 0.25)
    assert first["top1"].low == pytest.approx(proportion_interval(0.5, 20).low)
    (study,) = read_folders([comparison(tmp_path / "by-source", sources=True)], "command")
    assert isinstance(study, Comparison)
    assert study.interval == "sources"
    assert [(row.metrics["top1"].low, row.metrics["top1"].high) for row in study.rows] == [(0.4, 0.6), (0.6, 0.9)]


def test_cross_validations_become_one_comparison(tmp_path: Path) -> None:
    folders = [cross_validation(tmp_path / name, name) for name in ("a", "b")]
    (study,) = read_folders(folders, "command")
    assert isinstance(study, Comparison)
    assert [(row.name, row.photos, row.metrics["top1"].sd) for row in study.rows] == [("a", 20, 0.1), ("b", 20, 0.1)]
    assert set(study.rows[0].metrics) == {"top1", "macro_recall"}
    with pytest.raises(RecipeError, match="different numbers of folds"):
        read_folders([*folders, cross_validation(tmp_path / "c", "c", folds=3)], "command")


def test_controls_of_a_benchmark_have_one_row(tmp_path: Path) -> None:
    (study,) = read_folders([benchmark(tmp_path / "benchmark")], "command")
    assert isinstance(study, Comparison)
    assert [(row.name, row.on) for row in study.rows] == [
        ("v1", "true_city"),
        ("v2", "true_city"),
        ("v1", "candidate_cities"),
        ("v2", "candidate_cities"),
        ("control", "countries_alone"),
        ("control", "metadata_alone"),
    ]
    assert {(row.photos, tuple(row.metrics)) for row in study.rows} == {(16, ("median_km",))}


def test_other_and_damaged_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"holds no comparison.*train compare"):
        read_folders([tmp_path], "command")
    (tmp_path / "comparison.csv").write_text("run\na\n")
    with pytest.raises(RecipeError, match="has no results of this version"):
        read_folders([tmp_path], "command")
    (tmp_path / "cv.json").write_text("{")
    with pytest.raises(RecipeError, match="has no results of this version"):
        read_folders([tmp_path], "command")


def test_a_study_replaces_that_of_its_name_and_keeps_others(tmp_path: Path) -> None:
    write_studies(tmp_path, CARD, read_folders([comparison(tmp_path / "c"), benchmark(tmp_path / "b")], "first"))
    kept = read_studies(tmp_path, CARD.id, CARD.weights_sha256)
    write_studies(tmp_path, CARD, read_folders([tmp_path / "c"], "second"), kept)
    studies = read_studies(tmp_path, CARD.id, CARD.weights_sha256)
    assert studies is not None
    assert [(one.name, one.command) for one in studies.comparisons] == [("versions", "first"), ("comparison", "second")]


def test_a_long_run_keeps_evenly_spaced_epochs_and_the_best() -> None:
    epochs = [
        SimpleNamespace(epoch=n, values={"val/median_km": 1.0 if n == 778 else 2.0, "lr": 0.1}) for n in range(1, 2001)
    ]
    metrics: Any = SimpleNamespace(
        epochs=epochs,
        recipe={"name": "tiny"},
        manifest_sha256="0" * 64,
        photos=SimpleNamespace(training=9, validation={"new": 4}),
    )
    curves = position_curves(metrics, "command")
    assert curves is not None
    numbers = [epoch.epoch for epoch in curves.epochs]
    assert (curves.best_epoch, numbers[0], numbers[-1], 778 in numbers) == (778, 1, 2000, True)
    assert len(numbers) <= MAX_EPOCHS
    assert curves.epochs[0].values == {"val/median_km": 2.0}


def test_a_real_study_is_added_to_a_model(colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "space.toml").write_text('"optimisation.batch_size" = {low = 4, high = 16}\n')
    run = [str(colours / "tiny.toml"), "--manifest", str(colours / "manifest.csv"), "--workers", "0"]
    tune = ["train", "tune", *run, "--space", str(tmp_path / "space.toml"), "--trials", "2"]
    done = CliRunner().invoke(main, [*tune, "--out", str(tmp_path / "study")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (study,) = read_folders([tmp_path / "study"], "command")
    assert isinstance(study, HyperparameterStudy)
    assert (study.metric, study.photos, study.count, len(study.trials)) == ("new_places/top1", 10, 2, 2)
    assert study.best == max(trial.value or 0 for trial in study.trials if trial.state == "complete")
    assert study.best_low == pytest.approx(proportion_interval(study.best, 10).low)
    assert set(study.chosen) == {"optimisation.batch_size"}
    assert study.importances == {}  # two trials tell nothing

    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))
    (tmp_path / "words.toml").write_text(
        "\n".join(f'{name} = "…"' for name in ("summary", "data", "limits", "licence"))
    )
    best = str(tmp_path / "study" / f"trial-{next(t.number for t in study.trials if t.value == study.best):04d}")
    export = ["train", "export", best, *run[1:], "--id", "tiny.colours", "--describe", str(tmp_path / "words.toml")]
    done = CliRunner().invoke(main, [*export, "--models", str(tmp_path / "models")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["models", "studies", "tiny.colours", str(tmp_path / "study")])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "models" / "tiny.colours" / "card.json").read_text())
    studies = read_studies(tmp_path / "models" / "tiny.colours", "tiny.colours", card["weights_sha256"])
    assert studies is not None
    assert len(studies.curves) == 1
    assert studies.searches[0].trials == study.trials
    assert STUDIES in done.output
