from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from triovision.cli import main
from triovision.errors import ManifestError, RecipeError
from triovision.metrics.country import METRICS, Cost, Overfitting, RunMetrics, Scores, SplitMetrics, read_metrics
from triovision.train.data.manifest import Manifest, read_manifest
from triovision.train.tuning import cross_validation


@pytest.fixture
def photos(colours: Path) -> Manifest:
    return read_manifest(colours / "manifest.csv", columns=["place"])


def test_every_photo_is_held_out_once_and_no_place_is_divided(photos: Manifest, tmp_path: Path) -> None:
    folded = cross_validation.fold_manifest(photos, tmp_path, "place", 2, seed=0)
    table = folded.manifest.table
    held_out = (table[list(folded.columns)] == "val").to_numpy()
    assert folded.columns == ("split_fold_1", "split_fold_2")
    assert folded.always_in_training == ("NA",)  # one photo
    assert held_out.sum(axis=1).tolist() == [1] * 40 + [0]
    assert table.groupby("place")["split_fold_1"].nunique().max() == 1
    for country in ("FR", "JP"):
        assert np.unique(held_out[table["country"] == country].sum(axis=0)).tolist() == [10]
    again = cross_validation.fold_manifest(photos, tmp_path, "place", 2, seed=0)
    assert again.manifest.sha256 == folded.manifest.sha256
    for changed in ({"folds": 3, "seed": 0}, {"folds": 2, "seed": 1}):
        with pytest.raises(RecipeError, match="other folds"):
            cross_validation.fold_manifest(photos, tmp_path, "none", **changed)


def with_sources(photos: Manifest) -> Manifest:
    """Four sources of both countries, one of them marked `test`, and a single photo of Namibia."""
    source = photos.table["place"].str.split("_").str[-1]
    folds = source.map({"0": "0", "1": "1", "2": "1", "3": "test"})
    table = photos.table.assign(source="source" + source, split_new_sources=folds)
    return Manifest(table, photos.root, photos.sha256)


def test_folds_by_source_divide_no_source_and_leave_the_test_photos_out(photos: Manifest, tmp_path: Path) -> None:
    table = cross_validation.fold_manifest(with_sources(photos), tmp_path, "source", 3, seed=0).manifest.table
    assert set(table["source"]) == {"source0", "source1", "source2"}
    assert len(table) == 31
    for n in (1, 2, 3):
        held_out = table[table[f"split_fold_{n}"] == "val"]
        assert held_out["source"].nunique() == 1
    assert "test" not in set(table["split_new_sources"])


def test_folds_of_a_column_are_taken_as_they_are(photos: Manifest, tmp_path: Path) -> None:
    folded = cross_validation.column_folds(with_sources(photos), tmp_path, "split_new_sources")
    table = folded.manifest.table
    assert folded.columns == ("split_fold_1", "split_fold_2")
    assert set(table[table["split_fold_1"] == "val"]["source"]) == {"source0"}
    assert set(table[table["split_fold_2"] == "val"]["source"]) == {"source1", "source2"}
    assert "source3" not in set(table["source"])
    assert folded.without_training == ("NA",)


@pytest.mark.parametrize("values", [["train", "val"], ["0", "2"], ["0", "0"], ["0", "1", ""]])
def test_a_column_without_folds_is_refused(photos: Manifest, tmp_path: Path, values: list[str]) -> None:
    column = [values[i % len(values)] for i in range(len(photos))]
    changed = Manifest(photos.table.assign(fold=column), photos.root, photos.sha256)
    with pytest.raises(ManifestError, match="`fold`"):
        cross_validation.column_folds(changed, tmp_path / "out", "fold")
    assert not (tmp_path / "out").exists()


def test_more_folds_than_places_are_refused(photos: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"cannot be divided into 20 folds|leaves nothing for"):
        cross_validation.fold_manifest(photos, tmp_path / "out", "place", 20, seed=0)
    assert not (tmp_path / "out").exists()


def test_a_killed_cross_validation_goes_on_and_ends_with_mean_and_spread(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "cv"
    command = [
        "train", "cv", str(colours / "tiny.toml"), "--manifest", str(colours / "manifest.csv"), "--folds", "2",
        "--out", str(out), "--workers", "0", "--set", "optimisation.ema_decay=0",
    ]  # fmt: skip
    measure = cross_validation.write_run_metrics

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # The second run is trained, but the process ends before it is measured.
    monkeypatch.setattr(
        cross_validation,
        "write_run_metrics",
        lambda run, *args, **kwargs: (killed if run.folder.name == "fold-2" else measure)(run, *args, **kwargs),
    )
    stopped = CliRunner().invoke(main, command)
    assert stopped.exit_code == 130
    assert "same command" in stopped.stderr
    kept = {path: path.stat().st_mtime_ns for path in out.glob("fold-*/*.*")}
    assert (out / "fold-1" / METRICS) in kept
    monkeypatch.setattr(cross_validation, "write_run_metrics", measure)
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in out.glob("fold-*/*.*")}.items()
    assert "fold 2 of 2" in done.output
    assert "having one place: NA" in done.output

    folds = [read_metrics(out / f"fold-{n}").splits[f"fold_{n}"].scores for n in (1, 2)]
    assert [scores.photos for scores in folds] == [20, 20]
    first, second = (scores.negative_log_likelihood for scores in folds)
    assert first is not None
    assert second is not None
    found = json.loads((out / "cv.json").read_text())
    assert found["mean"]["negative_log_likelihood"] == pytest.approx((first + second) / 2)
    assert found["sd"]["negative_log_likelihood"] == pytest.approx(abs(first - second) / 2**0.5)
    assert found["folds"]["fold-1"]["metrics"]["top1"] == folds[0].top1
    with (out / "cv.csv").open() as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert float(rows["top1"]["fold-2"]) == folds[1].top1
    assert float(rows["top1"]["mean"]) == found["mean"]["top1"]
    page = (out / "cv.html").read_text()
    assert "negative log likelihood" in page
    assert "<script src" not in page
    assert all((out / f"fold-{n}" / "report.html").exists() for n in (1, 2))


def metrics(top1: float, aurc: float | None) -> RunMetrics:
    scores = Scores(photos=9, without_label=0, top1=top1, top5=1, macro_recall=top1, negative_log_likelihood=1)
    split = SplitMetrics(
        scores=scores,
        countries=(),
        confusion=(),
        measured=9,
        before=None,
        after=None,
        risk_coverage=(),
        aurc=aurc,
        at_threshold=None,
        best=(),
        worst=(),
    )
    cost = Cost(
        parameters=1,
        epochs=1,
        best_epoch=1,
        training_photos=1,
        training_s=1,
        photos_per_s=1,
        validation_photos_per_s=1,
    )
    return RunMetrics(
        recipe={},
        manifest_sha256="",
        labels=(),
        cost=cost,
        measured_on="",
        versions={},
        epochs=(),
        overfitting=Overfitting(training=scores, gaps=(), verdict="", rule=""),
        calibration="",
        splits={"fold": split},
    )


def test_a_metric_that_a_fold_lacks_is_averaged_over_the_others() -> None:
    runs = {"a": metrics(0.5, None), "b": metrics(0.8, 0.4)}
    table = cross_validation.spread_table(runs).set_index("metric")
    assert table.loc["top1", "mean"] == pytest.approx(0.65)
    assert table.loc["top1", "sd"] == pytest.approx(0.3 / 2**0.5)
    assert table.loc["aurc", "mean"] == pytest.approx(0.4)
    assert np.isnan(table.loc["aurc", "sd"])
    text = cross_validation.spread_text(table.reset_index())
    assert "65.00" in text
    assert "\N{EN DASH}" in text
