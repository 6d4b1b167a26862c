from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from triovision.cli import main
from triovision.errors import RecipeError
from triovision.metrics.country import (
    METRICS,
    Cost,
    CountryScore,
    Epoch,
    Overfitting,
    Reliability,
    RunMetrics,
    Scores,
    SourceScores,
    SplitMetrics,
)
from triovision.train.evaluation import compare as comparison


def metrics(
    top1: float, seed: int = 0, name: str = "tiny", labels: tuple[str, ...] = ("FR", "JP"), manifest: str = "a" * 64
) -> RunMetrics:
    scores = Scores(photos=20, without_label=0, top1=top1, top5=1, macro_recall=top1, negative_log_likelihood=1)
    honest = Reliability(temperature=1.5, expected_calibration_error=0.1, negative_log_likelihood=1, bins=())
    split = SplitMetrics(
        scores=scores,
        countries=tuple(
            CountryScore(
                country=c, continent="EU", training_photos=9, photos=10, answers=10, recall=top1, precision=top1
            )
            for c in labels
        ),
        confusion=(),
        measured=10,
        before=honest,
        after=honest,
        risk_coverage=(),
        aurc=None,
        at_threshold=None,
        best=(),
        worst=(),
    )
    return RunMetrics(
        recipe={"name": name, "architecture": "resnet18", "seed": seed, "description": ""},
        manifest_sha256=manifest,
        labels=labels,
        cost=Cost(
            parameters=1234567,
            epochs=3,
            best_epoch=2,
            training_photos=100,
            training_s=None if seed else 3900,
            photos_per_s=None if seed else 100 * 3 / 3900,
            validation_photos_per_s=10,
        ),
        measured_on="a machine",
        versions={},
        epochs=(Epoch(epoch=1, values={"new/top1": top1}),),
        overfitting=Overfitting(training=scores, gaps=(), verdict="", rule=""),
        calibration="",
        splits={"new": split},
    )


def test_intervals_are_shown_where_the_sources_are_known_and_nothing_is_the_best() -> None:
    run = metrics(0.5)
    by_source = SourceScores(
        sources=7, top1_by_source=0.4, top1_low=0.3, top1_high=0.6, top5_by_source=1, top5_low=1, top5_high=1
    )
    split = run.splits["new"].model_copy(update={"by_source": by_source})
    table = comparison.run_table({"a": run.model_copy(update={"splits": {"new": split}}), "b": metrics(0.7)})
    assert table["new top-1 low"].tolist()[0] == 0.3
    lines = [line.split() for line in comparison.table_text(table).splitlines()]
    assert ["new", "top-1", "low", "30.0%", "\N{EN DASH}"] in lines
    assert "new top-1 low" not in comparison.run_table({"b": metrics(0.7)})


def write(folder: Path, **runs: RunMetrics) -> list[Path]:
    for name, run in runs.items():
        (folder / name).mkdir()
        (folder / name / METRICS).write_text(run.model_dump_json())
    return [folder / name for name in runs]


def test_seeds_of_one_recipe_are_averaged(tmp_path: Path) -> None:
    runs = comparison.read_runs(write(tmp_path, a=metrics(0.5), b=metrics(0.7, seed=1), c=metrics(0.4, name="other")))
    groups = comparison.seed_groups(runs)
    assert groups == {"tiny": ["a", "b"], "other": ["c"]}
    table = comparison.group_table(comparison.run_table(runs), groups)
    assert table["new top-1 mean"].tolist() == pytest.approx([0.6, 0.4])
    assert table["new top-1 sd"][0] == pytest.approx(0.02**0.5)
    assert table["new top-1 sd"].isna().tolist() == [False, True]


def test_recipes_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    changed = metrics(0.6).model_copy(update={"recipe": metrics(0.6).recipe | {"description": "changed"}})
    runs = comparison.read_runs(write(tmp_path, a=metrics(0.5), b=changed))
    assert comparison.seed_groups(runs) == {"tiny (a)": ["a"], "tiny (b)": ["b"]}


def test_another_manifest_is_refused(tmp_path: Path) -> None:
    folders = write(tmp_path, a=metrics(0.5), b=metrics(0.5, manifest="b" * 64))
    with pytest.raises(RecipeError, match="b: was trained on another manifest than a"):
        comparison.read_runs(folders)


def test_one_run_is_no_comparison(tmp_path: Path) -> None:
    (folder,) = write(tmp_path, a=metrics(0.5))
    for folders in ([folder], [folder, folder]):
        with pytest.raises(RecipeError, match="two or more"):
            comparison.read_runs(folders)


def test_other_labels_splits_and_photos_are_marked() -> None:
    fewer = metrics(0.5, labels=("FR",))
    longer = metrics(0.5)
    longer = longer.model_copy(update={"splits": longer.splits | {"known": longer.splits["new"]}})
    split = metrics(0.5).splits["new"]
    larger = split.model_copy(update={"scores": split.scores.model_copy(update={"photos": 30})})
    other = metrics(0.5).model_copy(update={"splits": {"new": larger}})
    found = comparison.warnings({"a": metrics(0.5), "b": fewer, "c": longer, "d": other})
    assert found == [
        "b has 1 labels and a 2, which differ: their metrics are of different photos.",
        "a has no held-out photos for known.",
        "d and a have different held-out photos for new (30 and 20).",
    ]


def test_the_command_writes_one_table_three_ways(tmp_path: Path) -> None:
    folders = write(tmp_path, first=metrics(0.5), second=metrics(0.75, seed=1))
    result = CliRunner().invoke(main, ["train", "compare", *map(str, folders), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    for line in (
        ["first", "second"],
        ["parameters", "1,234,567", "1,234,567"],
        ["training_s", "1", "h", "05", "min", "\N{EN DASH}"],
        ["new", "top-1", "50.0%", "75.0%"],
        ["new", "ECE", "10.0%", "10.0%"],
    ):
        assert line in lines
    assert "62.5%" in result.output  # the mean of the two seeds
    assert comparison.NO_BEST in result.output
    with (tmp_path / "out" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["new top-1"] for row in rows] == ["0.5", "0.75"]
    assert [row["training_s"] for row in rows] == ["3900.0", ""]
    page = (tmp_path / "out" / "comparison.html").read_text()
    for piece in (comparison.NO_BEST, "<th", "62.5%", 'id="difference_0"', 'id="curves_0"', "1 h 05 min"):
        assert piece in page


def test_a_name_cannot_write_to_the_terminal_or_the_page(tmp_path: Path) -> None:
    nasty = "\x1b[2J<script>alert(1)</script>"
    folders = write(tmp_path, a=metrics(0.5, name=nasty), b=metrics(0.5, seed=1))
    result = CliRunner().invoke(main, ["train", "compare", *map(str, folders), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "<script>alert" not in (tmp_path / "out" / "comparison.html").read_text()
