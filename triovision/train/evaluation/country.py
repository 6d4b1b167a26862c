"""Figures of a finished run on any photos, by the code that measures a run on the photos that it held out."""

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
from triovision.train.evaluation.learning_curves import best_epoch, overfitting, read_curves
from triovision.train.evaluation.split_metrics import SplitLogits, scores, split_metrics
from triovision.train.models.forward import network_outputs

#: Calibration needs a few right and wrong answers; with fewer photos it would fit noise.
_FEWEST_FITTED = 20
_MOST_TRAINING = 5000


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """What a run is worth on some photos.

    Attributes:
        metrics: All figures of these photos; nothing is calibrated on them.
        without_label: Number of photos by country that the run has no label for.
        learnt: Photos among these that the run learnt from, as far as its own manifest was given; else 0.
    """

    metrics: SplitMetrics
    without_label: dict[str, int]
    learnt: int


def evaluate_run(run: CountryRun, manifest: Manifest, photos: Manifest, workers: int) -> RunEvaluation:
    """Measure a run on photos.

    Args:
        run: See `read_country_run`.
        manifest: The whole manifest, which tells what the run learnt from if it is its own.
        photos: Those of its photos to measure on.
        workers: Processes that decode photos.

    Raises:
        RecipeError: If a photo cannot be read.
    """
    truth = photos.table["country"].to_numpy(dtype=str)
    answers = SplitLogits(
        file=photos.table["file"].to_numpy(dtype=str),
        truth=truth,
        logits=network_outputs(run.network, photos, run.recipe, workers),
        target=targets(photos, run.labels),
        fitted=np.zeros(len(photos), dtype=bool),
    )
    learnt, training_photos = 0, Counter[str]()
    if manifest.sha256 == run.manifest_sha256:
        training = split(manifest, run.recipe.data).training.table
        learnt = int(photos.table["file"].isin(training["file"]).sum())
        training_photos.update(training["country"])
    return RunEvaluation(
        metrics=split_metrics(answers, run.labels, training_photos, None),
        without_label=dict(sorted(Counter(truth[~np.isin(truth, run.labels)].tolist()).items())),
        learnt=learnt,
    )


def scalar_metrics(metrics: SplitMetrics) -> dict[str, float | None]:
    """The figures of a split that are single numbers, by name; None where the photos allow none."""
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
    """Measure a run and write `metrics.json` into its folder; see `measure_run`."""
    metrics = measure_run(run, manifest, target_accuracy, workers)
    atomic_write(run.folder / METRICS, metrics.model_dump_json(indent=1) + "\n")
    return metrics


def measure_run(run: CountryRun, manifest: Manifest, target_accuracy: float, workers: int) -> RunMetrics:
    """Measure a run on its validation photos and on a sample of its training photos.

    Args:
        run: See `read_country_run`.
        manifest: The manifest that it was trained on.
        target_accuracy: Wanted share of right answers among those that are not abstained.
        workers: Processes that decode photos.

    Raises:
        RecipeError: If it was trained on another manifest, held no photos out, logged nothing, or a photo that it
            held out cannot be read.
    """
    epochs = read_curves(run.folder)
    start = time.perf_counter()
    seen = held_out(run, manifest, workers)
    speed = len(seen.target) / (time.perf_counter() - start)
    splits = split(manifest, run.recipe.data)
    # The order of `held_out`.
    table = pd.concat([part.table for part in splits.validation.values() if len(part)])
    half = fit_half(seen.place)
    calibration, fitted_on = _calibration(seen, half, target_accuracy)
    fitted = half if calibration is not None else np.zeros(len(half), dtype=bool)
    files, truth = table["file"].to_numpy(dtype=str), table["country"].to_numpy(dtype=str)
    learnt = Counter(splits.training.table["country"])
    found = {}
    for name in dict.fromkeys(seen.split.tolist()):
        rows = seen.split == name
        answers = SplitLogits(files[rows], truth[rows], seen.logits[rows], seen.target[rows], fitted[rows])
        found[name] = split_metrics(answers, run.labels, learnt, calibration)
    sample = _training_sample(splits, run, len(seen.target))
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
        overfitting=overfitting(training, {name: part.scores for name, part in found.items()}, epochs),
        calibration=fitted_on,
        splits=found,
    )


def _calibration(seen: HeldOut, half: NDArray[np.bool_], target_accuracy: float) -> tuple[Calibration | None, str]:
    """Calibration fitted on one half of the places, and what it was fitted on in words."""
    photos = seen.where(half)
    if (photos.target != NO_LABEL).sum() < _FEWEST_FITTED or half.all():
        return None, f"Not calibrated: it takes {_FEWEST_FITTED} photos with a label, of several places."
    calibration = fit_calibration(photos, target_accuracy)
    return calibration, (
        f"Temperature and threshold (wanted accuracy {target_accuracy:.0%}) fitted on {calibration.fitted_on}; what "
        "is shown was measured on the other places' photos."
    )


def _training_sample(splits: Splits, run: CountryRun, photos: int) -> Manifest:
    """As many training photos with a label as were held out, at most 5000, drawn with the recipe's seed."""
    known = splits.training.where(splits.training.table["country"].isin(run.labels))
    size = min(len(known), photos, _MOST_TRAINING)
    chosen = np.random.default_rng(run.recipe.seed).choice(len(known), size, replace=False)
    mask = pd.Series(np.isin(np.arange(len(known)), chosen))
    return known.where(mask)


def _cost(run: CountryRun, training_photos: int, epochs: tuple[Epoch, ...], validation_photos_per_s: float) -> Cost:
    last = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu", mmap=True)
    # Lightning's `Timer` callback keeps its time in the checkpoint, over all resumptions; older runs had none.
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
    """Processor and GPU in words; not the host's name, which is nobody's business."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores{gpu}"
