"""Measure a finished run and write what it leaves behind: `metrics.json` and `report.html`."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import triovision
from triovision.files import atomic_write
from triovision.inference.card import Calibration
from triovision.metrics.country import METRICS, Cost, Epoch, RunMetrics
from triovision.reporting.thumbnails import thumbnails
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.run_splits import Splits, split
from triovision.train.engine.run_folder import Run
from triovision.train.evaluation.learning_curves import best_epoch, overfitting, read_curves
from triovision.train.evaluation.metrics import Answers, scores, split_metrics
from triovision.train.export.calibration import HeldOut, fit_calibration, fit_half, held_out
from triovision.train.models.forward import network_outputs
from triovision.viz.report_page import run_page

REPORT = "report.html"
#: Calibration needs a few right and wrong answers; below this many photos it would fit noise.
_FEWEST_FITTED = 20
_MOST_TRAINING = 5000


def write_report(run: Run, manifest: Manifest, wanted_accuracy: float, workers: int, show_photos: bool) -> Path:
    """Measure a run and write `metrics.json` and `report.html` into its folder.

    Args:
        run: See `read_run`.
        manifest: The manifest that it was trained on.
        wanted_accuracy: Wanted share of right answers among those that are not abstained.
        workers: Processes that decode photos.
        show_photos: Whether the page shows small copies of the photos that it names.

    Returns:
        The page.

    Raises:
        RecipeError: See `measure`.
    """
    metrics = measure(run, manifest, wanted_accuracy, workers)
    atomic_write(run.folder / METRICS, (metrics.model_dump_json(indent=1) + "\n").encode())
    pictures = thumbnails(metrics, manifest.root) if show_photos else {}
    atomic_write(run.folder / REPORT, run_page(metrics, pictures).encode())
    return run.folder / REPORT


def measure(run: Run, manifest: Manifest, wanted_accuracy: float, workers: int) -> RunMetrics:
    """Measure a run on its validation photos and on a sample of its training photos.

    Args:
        run: See `read_run`.
        manifest: The manifest that it was trained on.
        wanted_accuracy: Wanted share of right answers among those that are not abstained.
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
    calibration, fitted_on = _calibration(seen, half, wanted_accuracy)
    fitted = half if calibration is not None else np.zeros(len(half), dtype=bool)
    files, truth = table["file"].to_numpy(dtype=str), table["country"].to_numpy(dtype=str)
    learnt = Counter(splits.training.table["country"])
    found = {}
    for name in dict.fromkeys(seen.split.tolist()):
        rows = seen.split == name
        answers = Answers(files[rows], truth[rows], seen.logits[rows], seen.target[rows], fitted[rows])
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


def _calibration(seen: HeldOut, half: NDArray[np.bool_], wanted_accuracy: float) -> tuple[Calibration | None, str]:
    """Calibration fitted on one half of the places, and what it was fitted on in words."""
    photos = seen.where(half)
    if (photos.target != NO_LABEL).sum() < _FEWEST_FITTED or half.all():
        return None, f"Not calibrated: it takes {_FEWEST_FITTED} photos with a label, of several places."
    calibration = fit_calibration(photos, wanted_accuracy)
    return calibration, (
        f"Temperature and threshold (wanted accuracy {wanted_accuracy:.0%}) fitted on {calibration.fitted_on}; what "
        "is shown was measured on the other places' photos."
    )


def _training_sample(splits: Splits, run: Run, photos: int) -> Manifest:
    """As many training photos with a label as were held out, at most 5000, drawn with the recipe's seed."""
    known = splits.training.where(splits.training.table["country"].isin(run.labels))
    size = min(len(known), photos, _MOST_TRAINING)
    chosen = np.random.default_rng(run.recipe.seed).choice(len(known), size, replace=False)
    mask = pd.Series(np.isin(np.arange(len(known)), chosen))
    return known.where(mask)


def _cost(run: Run, training_photos: int, epochs: tuple[Epoch, ...], validation_photos_per_s: float) -> Cost:
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
