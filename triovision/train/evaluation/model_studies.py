"""Training curves of a model, and the writer of `studies.json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ValidationError
from scipy.stats import binomtest

from triovision.errors import RecipeError, faults
from triovision.files import atomic_write
from triovision.inference.card import ModelCard
from triovision.metrics.country import Epoch
from triovision.metrics.model_files import MAX_BYTES
from triovision.metrics.model_studies import (
    MAX_EPOCHS,
    STUDIES,
    Comparison,
    HyperparameterStudy,
    ModelStudies,
    TrainingCurves,
    ValidationSplit,
)
from triovision.metrics.position import PositionMetrics
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import CountryRun
from triovision.train.evaluation.intervals import Interval
from triovision.train.evaluation.learning_curves import best_epoch, read_curves

Study = TrainingCurves | Comparison | HyperparameterStudy
S = TypeVar("S", bound=Study)
_DRAWN = ("loss", "top1", "median_km")


def proportion_interval(fraction: float, photos: int) -> Interval:
    """95 % interval of a fraction of photos that are taken as independent.

    "Probable Inference, the Law of Succession, and Statistical Inference" (Wilson, 1927). Photos of one source are
    alike, so that the interval is too narrow; `group_interval` needs the answer to each photo.

    Args:
        fraction: Fraction of the photos, 0 to 1.
        photos: Number of photos, at least 1.
    """
    interval = binomtest(round(fraction * photos), photos).proportion_ci(0.95, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def country_curves(run: CountryRun, manifest: Manifest, command: str) -> TrainingCurves | None:
    """Training curves of a country run.

    Args:
        run: See `read_country_run`.
        manifest: The manifest that it was trained on.
        command: Command that writes them.

    Returns:
        The curves; None if the run's folder has no logs.

    Raises:
        RecipeError: If a log is damaged.
    """
    if not any(run.folder.glob("logs/**/metrics.csv")):
        return None
    epochs = read_curves(run.folder)
    splits, best = split(manifest, run.recipe.data), best_epoch(epochs)
    kept = next((epoch.values for epoch in epochs if epoch.epoch == best), {})
    validation = []
    for name, part in splits.validation.items():
        photos, top1 = int((targets(part, run.labels) != NO_LABEL).sum()), kept.get(f"{name}/top1")
        interval = None if top1 is None or not photos else proportion_interval(top1, photos)
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        validation.append(ValidationSplit(name=name, photos=photos, top1_low=low, top1_high=high))
    return TrainingCurves(
        name=run.recipe.name,
        measured_on=f"validation photos whose country has a label; manifest {run.manifest_sha256[:12]}",
        command=command,
        training_photos=len(splits.training),
        splits=tuple(validation),
        best_epoch=best,
        epochs=_drawn(epochs, best),
    )


def position_curves(metrics: PositionMetrics, command: str) -> TrainingCurves | None:
    """Training curves of a position run; None if its metrics have no epochs.

    Args:
        metrics: Metrics of the run.
        command: Command that writes them.
    """
    medians = {epoch.epoch: epoch.values.get("val/median_km") for epoch in metrics.epochs}
    known = {epoch: median for epoch, median in medians.items() if median is not None}
    if not metrics.epochs:
        return None
    best = min(known, key=known.__getitem__) if known else None
    return TrainingCurves(
        name=str(metrics.recipe["name"]),
        measured_on=f"validation photos with a position; manifest {metrics.manifest_sha256[:12]}",
        command=command,
        training_photos=metrics.photos.training,
        splits=tuple(ValidationSplit(name=name, photos=n) for name, n in metrics.photos.validation.items()),
        best_epoch=best,
        epochs=_drawn(metrics.epochs, best),
    )


def write_studies(folder: Path, card: ModelCard, studies: Iterable[Study], kept: ModelStudies | None = None) -> Path:
    """Write `studies.json` into a model folder.

    Args:
        folder: Folder of the model.
        card: Its card.
        studies: Studies to write.
        kept: Earlier studies to keep; those with the kind and name of a new one are replaced.

    Raises:
        RecipeError: If they are too many or too large for the file.
    """
    path = folder / STUDIES
    new, old = list(studies), kept or ModelStudies(model=card.id, weights_sha256=card.weights_sha256)
    remedy = "Give fewer studies, or shorter ones"
    try:
        written = ModelStudies(
            model=card.id,
            weights_sha256=card.weights_sha256,
            curves=_merged(old.curves, [one for one in new if isinstance(one, TrainingCurves)]),
            comparisons=_merged(old.comparisons, [one for one in new if isinstance(one, Comparison)]),
            searches=_merged(old.searches, [one for one in new if isinstance(one, HyperparameterStudy)]),
        )
    except ValidationError as exc:
        raise RecipeError(str(path), f"cannot hold these studies ({faults(exc)})", remedy) from exc
    text = written.model_dump_json(indent=1) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise RecipeError(str(path), f"would be larger than {MAX_BYTES // 1_000_000} MB", remedy)
    atomic_write(path, text)
    return path


def _merged(old: Sequence[S], new: Sequence[S]) -> tuple[S, ...]:
    """The new studies after the old ones whose names none of them has."""
    names = {one.name for one in new}
    return (*(one for one in old if one.name not in names), *new)


def _drawn(epochs: tuple[Epoch, ...], best: int | None) -> tuple[Epoch, ...]:
    """The values that are drawn, of evenly spaced epochs if there are too many; the best one is always among them."""
    rows = set(np.linspace(0, len(epochs) - 1, MAX_EPOCHS - 1).round().astype(int).tolist())
    return tuple(
        Epoch(epoch=one.epoch, values={k: v for k, v in one.values.items() if k.rpartition("/")[2] in _DRAWN})
        for row, one in enumerate(epochs)
        if row in rows or one.epoch == best
    )
