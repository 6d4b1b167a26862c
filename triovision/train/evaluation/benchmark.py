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
from triovision.inference.batch import read_photo_file
from triovision.inference.ensemble import EnsembleEngine
from triovision.results import Photo
from triovision.train.data.manifest import Manifest, check_suffix, write_table
from triovision.train.data.overlap import training_rows
from triovision.train.data.splits import marked_rows
from triovision.train.evaluation.calibration import fit_half
from triovision.train.evaluation.predict import Evaluation, evaluate


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """The photos that all models are evaluated on.

    Attributes:
        manifest: All photos.
        parts: Held-out photos by split, of places that no calibration was fitted on.
        timed: Decoded photos for the timing.
    """

    manifest: Manifest
    parts: dict[str, Manifest]
    timed: tuple[Photo, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """Results of one model on one split.

    Attributes:
        split: Name of the split.
        evaluation: Metrics.
        training_photos: Photos of the split that the model, or a member of it, was trained on; None if unknown.
        photo_ms: Median time from the pixels of one photo to its prediction, in ms.
    """

    split: str
    evaluation: Evaluation
    training_photos: int | None
    photo_ms: float


def build_benchmark(manifest: Manifest, columns: Sequence[str], timed: int) -> Benchmark:
    """Select the held-out photos of a benchmark, without the places that `train export` and `train ensemble` fit on.

    Args:
        manifest: All photos.
        columns: Columns of the splits, in order.
        timed: Number of photos for the timing, evenly spaced.

    Raises:
        RecipeError: If no photo is left, or no photo for the timing can be read.
    """
    _, marked = marked_rows(manifest, columns)
    free = ~fit_half(manifest.table["place"])
    parts = {name: manifest.where(rows & free) for name, rows in marked.items() if (rows & free).any()}
    if not parts:
        raise RecipeError(
            ", ".join(columns), "have no held-out photo of a place for evaluation", "Hold more places out"
        )
    paths = [path for part in parts.values() for path in part.paths]
    chosen = np.unique(np.linspace(0, len(paths) - 1, timed).round().astype(int)).tolist()
    photos = tuple(photo for i in chosen if (photo := _read(paths[i])) is not None)
    if not photos:
        raise RecipeError(str(manifest.root), "has no readable photo among those for the timing", "Check --root")
    return Benchmark(manifest, parts, photos)


def run_benchmark(model: GeoModel, photos: Benchmark, on_photo: Callable[[], object]) -> list[BenchmarkResult]:
    """Evaluate a model on every split.

    Args:
        model: Any model.
        photos: See `Benchmark`.
        on_photo: Called after each evaluated photo.
    """
    photo_ms = _photo_ms(model, photos.timed)
    cards = [member.card for member in model.members] if isinstance(model, EnsembleEngine) else [model.card]
    return [
        BenchmarkResult(
            name, evaluate(model, part, on_photo), count_training_photos(cards, photos.manifest, part), photo_ms
        )
        for name, part in photos.parts.items()
    ]


def count_training_photos(cards: Sequence[ModelCard], manifest: Manifest, part: Manifest) -> int | None:
    """Number of photos of a part that any of some models was trained on; None if unknown for one of them."""
    seen = np.zeros(len(manifest), np.bool_)
    for card in cards:
        if (rows := training_rows(card, manifest)) is None:
            return None
        seen |= rows
    return int(part.table["file"].isin(manifest.table["file"][seen]).sum())


def _photo_ms(model: GeoModel, photos: Sequence[Photo]) -> float:
    model.predict(photos[:1])  # warm-up
    return median(model.predict([photo])[0].elapsed_ms for photo in photos)


def _read(path: Path) -> Photo | None:
    try:
        return read_photo_file(path)
    except PhotoError:
        return None


_UNKNOWN: Final = "\N{EN DASH}"
_MARK: Final = "\N{DAGGER}"

#: Columns of the table: heading, name of the metric, and format.
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


def benchmark_tables(results: Sequence[BenchmarkResult], timed: int, *, markdown: bool) -> str:
    """One table per split, then notes on the columns and on metrics that are too good.

    Args:
        results: Results of all models on all splits.
        timed: Number of photos of the timing.
        markdown: Markdown tables instead of plain text.
    """
    tables = [
        _table(name, [result for result in results if result.split == name], markdown=markdown)
        for name in dict.fromkeys(result.split for result in results)
    ]
    return "\n\n".join([*tables, *_notes(results, timed)])


def check_out(path: Path) -> None:
    """Check that `write_results` supports the suffix of a file.

    Raises:
        ManifestError: If it is not JSON, CSV or Parquet.
    """
    if path.suffix.lower() != ".json":
        check_suffix(path)


def write_results(results: Sequence[BenchmarkResult], path: Path) -> None:
    """Write all metrics, one record per model and split, as JSON, CSV or Parquet according to the suffix.

    Raises:
        ManifestError: If the file cannot be written.
    """
    records: list[dict[str, Any]] = [
        {
            "split": result.split,
            "model": result.evaluation.model,
            "training_photos": result.training_photos,
            "photo_ms": result.photo_ms,
        }
        | result.evaluation.metrics
        for result in results
    ]
    if path.suffix.lower() == ".json":
        atomic_write(path, json.dumps(records, indent=1).encode())
    else:
        write_table(pd.DataFrame(records), path)


def _table(split: str, results: Sequence[BenchmarkResult], *, markdown: bool) -> str:
    rows = [["model", *(heading for heading, _, _ in _COLUMNS), "ms"], *(_cells(result) for result in results)]
    if markdown:
        rows.insert(1, ["---", *["---:"] * (len(rows[0]) - 1)])
        return "\n".join([f"{_title(split)}:", "", *(f"| {' | '.join(row)} |" for row in rows)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([_title(split), *lines])


def _cells(result: BenchmarkResult) -> list[str]:
    metrics = [(result.evaluation.metrics[name], form) for _, name, form in _COLUMNS]
    mark = "" if result.training_photos == 0 else _MARK
    cells = [_UNKNOWN if value is None else form.format(value) for value, form in metrics]
    for i, (_, name, _) in enumerate(_COLUMNS):
        low, high = (result.evaluation.metrics.get(f"{name}_{end}") for end in ("low", "high"))
        if low is not None and high is not None:
            cells[i] += f" ({100 * low:.1f}\N{EN DASH}{100 * high:.1f})"
    return [f"{result.evaluation.model}{mark}", *cells, f"{result.photo_ms:,.1f}"]


def _notes(results: Sequence[BenchmarkResult], timed: int) -> list[str]:
    """Notes on the tables, one paragraph each."""
    notes = [
        "No photo is of a place that thresholds or weights of members were fitted on; the scale of a ResNetGPS was "
        "chosen on all held-out places. Top-1 and top-5 are over all photos, distances over those with a position; "
        "the columns 1 km to 2500 km are the fractions of photos within that distance. "
        "ECE: expected calibration error of the most probable country, 15 bins. "
        f"ms: median time from the pixels of a photo to its prediction, {timed} photos one at a time."
    ]
    if any(result.evaluation.metrics.get("country_top1_low") is not None for result in results):
        notes.append(
            "In brackets: 95% intervals from resampling whole sources. Differences smaller than these cannot be told "
            "apart, so no value is marked as the best."
        )
    if seen := [result for result in results if result.training_photos]:
        listed = "; ".join(f"{r.evaluation.model}, {_title(r.split)}: {r.training_photos}" for r in seen)
        notes.append(f"{_MARK} Too good: trained on some of these photos ({listed}).")
    if unknown := dict.fromkeys(r.evaluation.model for r in results if r.training_photos is None):
        notes.append(f"{_MARK} Possibly trained on some of these photos: {', '.join(unknown)}.")
    return notes


def _title(split: str) -> str:
    return split.replace("_", " ")
