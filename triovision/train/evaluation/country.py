"""Evaluation of a country run, on its held-out photos or on any others."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import triovision
from triovision.files import atomic_write
from triovision.inference.card import Calibration
from triovision.metrics.country import METRICS, Cost, Epoch, RunMetrics, SplitMetrics
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import Splits, split
from triovision.train.engine.run_folder import CountryRun
from triovision.train.evaluation.calibration import HeldOut, fit_calibration, fit_half, held_out
from triovision.train.evaluation.intervals import sources_of
from triovision.train.evaluation.learning_curves import best_epoch, overfitting, read_curves
from triovision.train.evaluation.split_metrics import SplitLogits, scores, split_metrics
from triovision.train.models.forward import network_outputs
from triovision.train.recipes.sections import COUNTRY

#: Smallest number of photos with a label that calibration is fitted on.
_MIN_CALIBRATION_PHOTOS = 20
#: Largest number of training photos that overfitting is measured on.
_MAX_TRAINING_PHOTOS = 5000


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """Evaluation of a run on photos of a manifest.

    Attributes:
        metrics: All metrics; nothing is calibrated on these photos.
        without_label: Number of photos by country, or other label, that the run does not have.
        training_photos: Number of these photos that the run was trained on, if the manifest is that of the run;
            otherwise 0.
    """

    metrics: SplitMetrics
    without_label: dict[str, int]
    training_photos: int


def evaluate_run(run: CountryRun, manifest: Manifest, photos: Manifest, workers: int) -> RunEvaluation:
    """Evaluate a run on photos.

    Args:
        run: See `read_country_run`.
        manifest: The whole manifest; if it is that of the run, its training photos are counted.
        photos: Photos of the manifest to evaluate.
        workers: Processes that decode photos.

    Raises:
        RecipeError: If a photo cannot be read.
    """
    truth = photos.labels.to_numpy(dtype=str)
    outputs = SplitLogits(
        file=photos.table["file"].to_numpy(dtype=str),
        truth=truth,
        logits=network_outputs(run.network, photos, run.recipe, workers),
        target=targets(photos, run.labels),
        fitted=np.zeros(len(photos), dtype=bool),
        source=sources_of(photos.table),
    )
    overlap, training_photos = 0, Counter[str]()
    if manifest.sha256 == run.manifest_sha256:
        training = split(manifest, run.recipe.data).training
        overlap = int(photos.table["file"].isin(training.table["file"]).sum())
        training_photos.update(training.labels)
    return RunEvaluation(
        metrics=split_metrics(
            outputs, run.labels, training_photos, None, continents=run.recipe.label_column == COUNTRY
        ),
        without_label=dict(sorted(Counter(truth[~np.isin(truth, run.labels)].tolist()).items())),
        training_photos=overlap,
    )


def scalar_metrics(metrics: SplitMetrics) -> dict[str, float | None]:
    """The scalar metrics of a split by name; None where undefined."""
    scores, before, after, at = metrics.scores, metrics.before, metrics.after, metrics.at_threshold
    return {
        "top1": scores.top1,
        "top5": scores.top5,
        "macro_recall": scores.macro_recall,
        "negative_log_likelihood": scores.negative_log_likelihood,
        "expected_calibration_error": before.expected_calibration_error if before else None,
        "expected_calibration_error_calibrated": after.expected_calibration_error if after else None,
        "aurc": metrics.aurc,
        "answered_at_threshold": at.coverage if at else None,
        "wrong_at_threshold": at.risk if at else None,
    }


def write_run_metrics(run: CountryRun, manifest: Manifest, target_accuracy: float, workers: int) -> RunMetrics:
    """Evaluate a run and write `metrics.json` into its folder; see `measure_run`."""
    metrics = measure_run(run, manifest, target_accuracy, workers)
    atomic_write(run.folder / METRICS, metrics.model_dump_json(indent=1) + "\n")
    return metrics


def measure_run(run: CountryRun, manifest: Manifest, target_accuracy: float, workers: int) -> RunMetrics:
    """Evaluate a run on its validation photos and on a sample of its training photos.

    Args:
        run: See `read_country_run`.
        manifest: The manifest that it was trained on.
        target_accuracy: Accuracy that the predictions above the abstention threshold should have.
        workers: Processes that decode photos.

    Raises:
        RecipeError: If the run was trained on another manifest, has no held-out photos or no log, or a held-out photo
            cannot be read.
    """
    epochs = read_curves(run.folder)
    start = time.perf_counter()
    outputs = held_out(run, manifest, workers)
    speed = len(outputs.target) / (time.perf_counter() - start)
    splits = split(manifest, run.recipe.data)
    # The order of `held_out`.
    table = pd.concat([part.table for part in splits.validation.values() if len(part)], ignore_index=True)
    sources = sources_of(table)
    half = fit_half(outputs.place)
    calibration, fitted_on = _calibration(outputs, half, target_accuracy)
    fitted = half if calibration is not None else np.zeros(len(half), dtype=bool)
    files, truth = table["file"].to_numpy(dtype=str), table[run.recipe.label_column].to_numpy(dtype=str)
    training_photos = Counter(splits.training.labels)
    metrics, continents = {}, run.recipe.label_column == COUNTRY
    for name in dict.fromkeys(outputs.split.tolist()):
        rows = outputs.split == name
        part = SplitLogits(
            files[rows],
            truth[rows],
            outputs.logits[rows],
            outputs.target[rows],
            fitted[rows],
            None if sources is None else sources[rows],
        )
        metrics[name] = split_metrics(part, run.labels, training_photos, calibration, continents=continents)
    sample = _training_sample(splits, run, len(outputs.target))
    training = scores(network_outputs(run.network, sample, run.recipe, workers), targets(sample, run.labels))
    return RunMetrics(
        recipe=run.recipe.model_dump(mode="json"),
        manifest_sha256=run.manifest_sha256,
        labels=run.labels,
        cost=_cost(run, len(splits.training), epochs, speed),
        measured_on=_hardware(),
        versions={"triovision": triovision.__version__, "python": platform.python_version()}
        | {name: version(name) for name in ("torch", "torchvision", "timm", "lightning", "numpy")},
        epochs=epochs,
        overfitting=overfitting(training, {name: part.scores for name, part in metrics.items()}, epochs),
        calibration=fitted_on,
        splits=metrics,
    )


def _calibration(outputs: HeldOut, half: NDArray[np.bool_], target_accuracy: float) -> tuple[Calibration | None, str]:
    """Calibration fitted on one half of the places, and a sentence about it."""
    photos = outputs.where(half)
    if (photos.target != NO_LABEL).sum() < _MIN_CALIBRATION_PHOTOS or half.all():
        return None, f"Not calibrated: this requires {_MIN_CALIBRATION_PHOTOS} photos with a label, of several places."
    calibration = fit_calibration(photos, target_accuracy)
    return calibration, (
        f"Temperature and threshold (target accuracy {target_accuracy:.0%}) were fitted on "
        f"{calibration.fitted_on}; the metrics are of the photos of the other places."
    )


def _training_sample(splits: Splits, run: CountryRun, photos: int) -> Manifest:
    """A random sample of training photos with a label, as many as are held out but at most 5000."""
    known = splits.training.where(splits.training.labels.isin(run.labels))
    size = min(len(known), photos, _MAX_TRAINING_PHOTOS)
    chosen = np.random.default_rng(run.recipe.seed).choice(len(known), size, replace=False)
    mask = pd.Series(np.isin(np.arange(len(known)), chosen))
    return known.where(mask)


def _cost(run: CountryRun, training_photos: int, epochs: tuple[Epoch, ...], validation_photos_per_s: float) -> Cost:
    last = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu", mmap=True)
    # Lightning's `Timer` callback saves the time of all resumptions in the checkpoint; older runs lack it.
    seconds = last["callbacks"].get("Timer", {}).get("time_elapsed", {}).get("train") or None
    finished = int(last["epoch"]) + 1
    return Cost(
        parameters=sum(p.numel() for p in run.network.parameters()),
        epochs=finished,
        best_epoch=best_epoch(epochs),
        training_photos=training_photos,
        training_s=seconds,
        photos_per_s=None if seconds is None else finished * training_photos / seconds,
        validation_photos_per_s=validation_photos_per_s,
    )


def _hardware() -> str:
    """Platform, CPU cores and GPU, without the name of the host."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores{gpu}"
