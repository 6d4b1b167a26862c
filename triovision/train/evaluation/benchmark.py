"""Benchmark of models on the same held-out photos: metrics, time per photo and tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import pandas as pd

from triovision.errors import PhotoError, RecipeError
from triovision.files import atomic_write
from triovision.inference import GeoModel, ModelCard
from triovision.inference.ensemble import EnsembleEngine
from triovision.inference.stream import read_photo_file
from triovision.results import Photo
from triovision.train.data.manifest import Manifest, check_suffix, write_table
from triovision.train.data.overlap import learnt_rows
from triovision.train.data.splits import marked_rows
from triovision.train.evaluation.calibration import fit_half
from triovision.train.evaluation.predict import Evaluation, evaluate


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """The photos that all engines are measured on.

    Attributes:
        manifest: All photos.
        parts: Held-out photos by the name of their split, of places that no calibration was fitted on.
        timed: Decoded photos to take the time of.
    """

    manifest: Manifest
    parts: dict[str, Manifest]
    timed: tuple[Photo, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """One engine on one split.

    Attributes:
        split: Name of the split.
        evaluation: Its figures.
        learnt: Photos of the split that it, or a member of it, learnt from; None where that cannot be told.
        photo_ms: Median time of a photo that is asked about alone, from pixels to answer.
    """

    split: str
    evaluation: Evaluation
    learnt: int | None
    photo_ms: float


def build_benchmark(manifest: Manifest, columns: Sequence[str], timed: int) -> Benchmark:
    """Gather the photos to measure on.

    The half of the places is left out that `train export` and `train ensemble` fit calibrations on.

    Args:
        manifest: All photos.
        columns: Columns of the splits, in their order.
        timed: Number of photos to take the time of, evenly among the others.

    Raises:
        RecipeError: If no photo is left, or none of those for the time can be read.
    """
    _, marked = marked_rows(manifest, columns)
    free = ~fit_half(manifest.table["place"])
    parts = {name: manifest.where(rows & free) for name, rows in marked.items() if (rows & free).any()}
    if not parts:
        raise RecipeError(", ".join(columns), "hold out no photo of the places to measure on", "Hold more places out")
    paths = [path for part in parts.values() for path in part.paths]
    chosen = np.unique(np.linspace(0, len(paths) - 1, timed).round().astype(int)).tolist()
    photos = tuple(photo for i in chosen if (photo := _read(paths[i])) is not None)
    if not photos:
        raise RecipeError(str(manifest.root), "holds not one readable photo among those to time", "Check --root")
    return Benchmark(manifest, parts, photos)


def run_benchmark(model: GeoModel, photos: Benchmark, on_photo: Callable[[], object]) -> list[BenchmarkResult]:
    """Measure an engine on every split.

    Args:
        model: Any engine.
        photos: See `Benchmark`.
        on_photo: Called after each photo that is not only timed.
    """
    photo_ms = _photo_ms(model, photos.timed)
    cards = [member.card for member in model.members] if isinstance(model, EnsembleEngine) else [model.card]
    return [
        BenchmarkResult(name, evaluate(model, part, on_photo), learnt_of(cards, photos.manifest, part), photo_ms)
        for name, part in photos.parts.items()
    ]


def learnt_of(cards: Sequence[ModelCard], manifest: Manifest, part: Manifest) -> int | None:
    """Photos of a part of a manifest that some models learnt from; None where that cannot be told of one of them."""
    learnt = np.zeros(len(manifest), np.bool_)
    for card in cards:
        if (rows := learnt_rows(card, manifest)) is None:
            return None
        learnt |= rows
    return int(part.table["file"].isin(manifest.table["file"][learnt]).sum())


def _photo_ms(model: GeoModel, photos: Sequence[Photo]) -> float:
    model.predict(photos[:1])  # the first photo pays for what is only done once
    return median(model.predict([photo])[0].elapsed_ms for photo in photos)


def _read(path: Path) -> Photo | None:
    try:
        return read_photo_file(path)
    except PhotoError:
        return None


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
