from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from triovision.train.evaluation.benchmark import BenchmarkResult, benchmark_tables, write_results
from triovision.train.evaluation.predict import Evaluation

METRICS = {
    "photos": 1200.0,
    "country_top1": 0.3627,
    "country_top5": 0.5,
    "median_km": 1352.3,
    "within_1_km": 0.01,
    "within_25_km": 0.085,
    "within_200_km": 0.14,
    "within_750_km": None,
    "within_2500_km": 1.0,
    "geo_score": 2081.7,
    "expected_calibration_error": 0.081,
}


def result(split: str, model: str, training_photos: int | None) -> BenchmarkResult:
    return BenchmarkResult(split, Evaluation(model, METRICS, ()), training_photos, 12.34)


RESULTS = [result("new_places", "x.a", 0), result("known_places", "x.a", 7), result("new_places", "x.bcd", None)]


def test_the_tables_by_hand() -> None:
    markdown = benchmark_tables(RESULTS, 100, markdown=True)
    row = "1,200 | 36.3% | 50.0% | 1,352 | 1.0% | 8.5% | 14.0% | \N{EN DASH} | 100.0% | 2,082 | 8.1% | 12.3 |"
    lines = markdown.splitlines()
    assert lines[0] == "new places:"
    assert lines[2].startswith("| model | photos | top-1 | top-5 | median km | 1 km |")
    assert lines[3].startswith("| --- | ---: |")
    assert lines[4:6] == [f"| x.a | {row}", f"| x.bcd† | {row}"]
    assert f"known places:\n\n{lines[2]}\n{lines[3]}\n| x.a† | {row}" in markdown
    assert "100 photos one at a time" in markdown
    assert "† Too good: trained on some of these photos (x.a, known places: 7)." in markdown
    assert "† Possibly trained on some of these photos: x.bcd." in markdown


def test_the_terminal_has_columns() -> None:
    lines = benchmark_tables(RESULTS, 100, markdown=False).splitlines()
    assert lines[0] == "new places"
    assert len({len(line) for line in lines[1:4]}) == 1
    assert lines[3].split()[:3] == ["x.bcd†", "1,200", "36.3%"]


def test_an_interval_over_sources_stands_in_brackets() -> None:
    metrics = METRICS | {"country_top1_low": 0.301, "country_top1_high": 0.42}
    found = BenchmarkResult("new_places", Evaluation("x.a", metrics, ()), 0, 12.34)
    text = benchmark_tables([found], 100, markdown=True)
    assert "| 36.3% (30.1\N{EN DASH}42.0) | 50.0% |" in text
    assert "no value is marked as the best" in text
    assert "no value is marked as the best" not in benchmark_tables(RESULTS, 100, markdown=True)


def test_without_marks_nothing_is_explained_about_them() -> None:
    assert "†" not in benchmark_tables(RESULTS[:1], 100, markdown=True)


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_all_figures_are_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"engines{suffix}"
    write_results(RESULTS, path)
    rows = json.loads(path.read_text()) if suffix == ".json" else pd.read_csv(path).to_dict("records")
    assert [(row["split"], row["model"]) for row in rows] == [(one.split, one.evaluation.model) for one in RESULTS]
    assert rows[1]["training_photos"] == 7
    assert rows[0]["median_km"] == 1352.3
    assert rows[0]["photo_ms"] == 12.34
