"""Report of one country run: metrics, learning curves, confusion, calibration and thumbnails."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import platform
import time
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray
from PIL import Image

import triovision
from triovision.errors import PhotoError
from triovision.files import atomic_write
from triovision.inference.card import Calibration
from triovision.metrics.country import METRICS, Cost, Epoch, RunMetrics
from triovision.photo import read_photo
from triovision.reporting.page import render_page
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import Splits, split
from triovision.train.engine.run_folder import CountryRun
from triovision.train.evaluation.learning_curves import best_epoch, overfitting, read_curves
from triovision.train.evaluation.metrics import Answers, scores, split_metrics
from triovision.train.export.calibration import HeldOut, fit_calibration, fit_half, held_out
from triovision.train.models.forward import network_outputs
from triovision.viz import DARK, LIGHT, Palette, run_figures

log = logging.getLogger(__name__)

REPORT = "report.html"
_THUMBNAIL_PX = 160
#: Calibration needs a few right and wrong answers; below this many photos it would fit noise.
_FEWEST_FITTED = 20
_MOST_TRAINING = 5000


def write_run_metrics(run: CountryRun, manifest: Manifest, target_accuracy: float, workers: int) -> RunMetrics:
    """Measure a run and write `metrics.json` into its folder; see `measure`."""
    metrics = measure(run, manifest, target_accuracy, workers)
    atomic_write(run.folder / METRICS, metrics.model_dump_json(indent=1) + "\n")
    return metrics


def measure(run: CountryRun, manifest: Manifest, wanted_accuracy: float, workers: int) -> RunMetrics:
    """Measure a run on its validation photos and on a sample of its training photos.

    Args:
        run: See `read_country_run`.
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


def write_run_page(folder: Path, metrics: RunMetrics, photo_root: Path | None) -> Path:
    """Write `report.html` into the folder of a run.

    Args:
        folder: Folder of the run.
        metrics: Its metrics.
        photo_root: Folder of the photos, to show thumbnails of those that the page names; None shows no photo.

    Returns:
        Path of the page.
    """
    copies = {} if photo_root is None else thumbnails(metrics, photo_root)
    atomic_write(folder / REPORT, run_page(metrics, copies))
    return folder / REPORT


def run_page(run: RunMetrics, copies: Mapping[str, bytes]) -> str:
    """Render the report of one run.

    Args:
        run: Its metrics.
        copies: JPEG thumbnails by file name; the page shows only the names of the other photos.
    """
    blocks = {}
    for name, of_split in run.splits.items():
        rows = len(run_figures.confusion_order(of_split))
        blocks[name] = [("the whole world", 0, rows - 1), *run_figures.continent_blocks(of_split)]
    return render_page(
        "run.html.j2",
        _figures(run, LIGHT),
        _figures(run, DARK),
        run=run,
        rows=[("training sample", run.overfitting.training), *((k, v.scores) for k, v in run.splits.items())],
        blocks=blocks,
        thumbnails={name: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode() for name, jpeg in copies.items()},
        recipe=json.dumps(run.recipe, indent=2, ensure_ascii=False),
    )


def _figures(run: RunMetrics, palette: Palette) -> dict[str, go.Figure]:
    """Figures by their id in the template."""
    figures = {
        "loss": run_figures.loss_curves(run.epochs, palette),
        "accuracy": run_figures.accuracy_curves(run.epochs, palette),
    }
    for n, of_split in enumerate(run.splits.values()):
        figures[f"recall{n}"] = run_figures.recall_by_photos(of_split.countries, palette)
        figures[f"confusion{n}"] = run_figures.confusion_matrix(of_split, palette)
        if of_split.before is not None:
            figures[f"reliability{n}"] = run_figures.reliability_diagram(of_split.before, of_split.after, palette)
        if of_split.risk_coverage:
            figures[f"risk{n}"] = run_figures.risk_coverage_curve(of_split, palette)
    return figures


def thumbnails(metrics: RunMetrics, root: Path) -> dict[str, bytes]:
    """Make JPEG copies, at most 160 pixels a side and without EXIF, of every photo that the metrics name.

    A photo that can no longer be read is logged and left out.

    Args:
        metrics: Metrics that name the best and worst photos and examples of confusion.
        root: Folder that the file names are relative to.

    Returns:
        JPEG files by the name of the photo.
    """
    names: dict[str, None] = {}
    for of_split in metrics.splits.values():
        names |= dict.fromkeys(photo.file for photo in (*of_split.best, *of_split.worst))
        names |= dict.fromkeys(file for cell in of_split.most_confused for file in cell.examples)
    copies = {}
    for name in names:
        try:
            copies[name] = _thumbnail(root / name)
        except (OSError, PhotoError) as exc:
            log.warning("No thumbnail of %s: %s", name, exc)
    return copies


def _thumbnail(path: Path) -> bytes:
    image = Image.fromarray(read_photo(path.read_bytes(), path.name).image_hwc)
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()
