"""What every engine is worth on the same held-out photos, and how long a photo takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from triovision.errors import PhotoError, RecipeError
from triovision.inference import GeoModel, ModelCard
from triovision.inference.ensemble import EnsembleEngine
from triovision.inference.stream import read_photo_file
from triovision.results import Photo
from triovision.train.data.manifest import Manifest
from triovision.train.data.overlap import learnt_rows
from triovision.train.data.splits import marked_rows
from triovision.train.evaluation.predict import Evaluation, evaluate
from triovision.train.export.calibration import fit_half


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
