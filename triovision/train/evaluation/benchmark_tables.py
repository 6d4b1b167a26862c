"""Engines side by side: one table for each validation split, for the terminal, for a document and for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from triovision.files import atomic_write
from triovision.train.data.manifest import check_suffix, write_table
from triovision.train.evaluation.benchmark import BenchmarkResult

_UNKNOWN: Final = "\N{EN DASH}"
_MARK: Final = "\N{DAGGER}"

#: Columns of the table: heading, name of the figure, and how it is written.
_COLUMNS: Final = (
    ("photos", "photos", "{:,.0f}"),
    ("top-1", "country_top1", "{:.1%}"),
    ("top-5", "country_top5", "{:.1%}"),
    ("median km", "median_km", "{:,.0f}"),
    ("1 km", "within_1_km", "{:.1%}"),
    ("25 km", "within_25_km", "{:.1%}"),
    ("200 km", "within_200_km", "{:.1%}"),
    ("750 km", "within_750_km", "{:.1%}"),
    ("2500 km", "within_2500_km", "{:.1%}"),
    ("GeoScore", "geo_score", "{:,.0f}"),
    ("ECE", "expected_calibration_error", "{:.1%}"),
)


def benchmark_tables(found: Sequence[BenchmarkResult], timed: int, *, markdown: bool) -> str:
    """One table a split, and under all of them what the columns mean and which figures are too good.

    Args:
        found: All engines on all splits.
        timed: Number of photos that the times are of.
        markdown: For a document, not for the terminal.
    """
    tables = [
        _table(name, [one for one in found if one.split == name], markdown=markdown)
        for name in dict.fromkeys(one.split for one in found)
    ]
    return "\n\n".join([*tables, *_notes(found, timed)])


def check_out(path: Path) -> None:
    """Refuse a name that `write_results` cannot write to.

    Raises:
        ManifestError: If it is that of no JSON, CSV or Parquet file.
    """
    if path.suffix.lower() != ".json":
        check_suffix(path)


def write_results(found: Sequence[BenchmarkResult], path: Path) -> None:
    """Write all figures, one record for each engine and split, as JSON, CSV or Parquet, told by the suffix.

    Raises:
        ManifestError: If the file cannot be written.
    """
    records: list[dict[str, Any]] = [
        {"split": one.split, "model": one.evaluation.model, "learnt": one.learnt, "photo_ms": one.photo_ms}
        | one.evaluation.metrics
        for one in found
    ]
    if path.suffix.lower() == ".json":
        atomic_write(path, json.dumps(records, indent=1).encode())
    else:
        write_table(pd.DataFrame(records), path)


def _table(split: str, found: Sequence[BenchmarkResult], *, markdown: bool) -> str:
    rows = [["model", *(heading for heading, _, _ in _COLUMNS), "ms"], *(_cells(one) for one in found)]
    if markdown:
        rows.insert(1, ["---", *["---:"] * (len(rows[0]) - 1)])
        return "\n".join([f"{_words(split)}:", "", *(f"| {' | '.join(row)} |" for row in rows)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([_words(split), *lines])


def _cells(one: BenchmarkResult) -> list[str]:
    figures = [(one.evaluation.metrics[name], form) for _, name, form in _COLUMNS]
    mark = "" if one.learnt == 0 else _MARK
    shown = [_UNKNOWN if value is None else form.format(value) for value, form in figures]
    return [f"{one.evaluation.model}{mark}", *shown, f"{one.photo_ms:,.1f}"]


def _notes(found: Sequence[BenchmarkResult], timed: int) -> list[str]:
    """What a reader must know, one paragraph each."""
    notes = [
        "No photo is of a place that thresholds or the weights of members were fitted on; the one scale of a "
        "ResNetGPS was chosen on all held-out places. Top-1 and top-5 are over all of them, distances over those whose "
        "position is known; under 1 to 2500 km stands the share within that distance. "
        "ECE: expected calibration error of the most probable country, 15 bins. "
        f"ms: median time of a photo from pixels to answer, {timed} photos one at a time, reading the file not counted."
    ]
    if told := [one for one in found if one.learnt]:
        listed = "; ".join(f"{one.evaluation.model}, {_words(one.split)}: {one.learnt}" for one in told)
        notes.append(f"{_MARK} Too good: it learnt from some of these photos ({listed}).")
    if untold := dict.fromkeys(one.evaluation.model for one in found if one.learnt is None):
        notes.append(f"{_MARK} It cannot be told whether it learnt from some of these photos: {', '.join(untold)}.")
    return notes


def _words(split: str) -> str:
    return split.replace("_", " ")
