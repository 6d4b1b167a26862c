"""Report page of the study: accuracy of each recipe, learning curves, confusion matrix, statistics of the data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from examples.cars.statistics import statistics_sections
from examples.cars.study import Measured, accuracy_lines, interval_text, mean_over_sources, top1_interval
from triovision.files import atomic_write
from triovision.metrics.country import SplitMetrics
from triovision.reporting.sections import Cell, Plot, Section, Table, write_sections_page
from triovision.train.data.manifest import Manifest
from triovision.train.evaluation.compare import duration
from triovision.viz.classification_figures import confusion_heatmap
from triovision.viz.run_figures import accuracy_curves, loss_curves

REPORT: Final = "report.html"
#: Accuracy of every recipe, for programs.
SUMMARY: Final = "metrics.json"


def write_report(out: Path, title: str, measured: Sequence[Measured], photos: Manifest, headers: pd.DataFrame) -> Path:
    """Write `metrics.json` and `report.html`.

    Args:
        out: Folder of the files.
        title: Title of the page.
        measured: Metrics of each recipe.
        photos: Manifest with the column `split`.
        headers: `width` and `height` of each photo in pixels.

    Returns:
        Path of the page.
    """
    summary = {str(one.run.recipe["name"]): _summary(one) for one in measured}
    atomic_write(out / SUMMARY, json.dumps(summary, indent=1) + "\n")
    sections = [_recipes(measured), *map(_run_section, measured), *statistics_sections(photos, headers)]
    found = "; ".join(f"{one.run.recipe['name']}, {accuracy_lines(one)[-1]}" for one in measured)
    return write_sections_page(out / REPORT, title, f"{found}.", sections)


def confusion_counts(part: SplitMetrics, labels: Sequence[str]) -> NDArray[np.int64]:
    """Number of photos by true and predicted label, `(n_labels, n_labels)`; photos of other labels are left out."""
    index = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for cell in part.confusion:
        if cell.truth in index:
            counts[index[cell.truth], index[cell.answer]] = cell.photos
    return counts


def _summary(one: Measured) -> dict[str, Any]:
    parts = {"validation": one.validation} | ({"test": one.test} if one.test else {})
    summary: dict[str, Any] = {"architecture": one.run.recipe["architecture"], "training_s": one.run.cost.training_s}
    for name, part in parts.items():
        interval = top1_interval(part)
        bounds = {"top1_low": interval.low, "top1_high": interval.high} if interval else {}
        summary[name] = part.scores.model_dump() | bounds | {"top1_by_source": mean_over_sources(part)}
    return summary


def _recipes(measured: Sequence[Measured]) -> Section:
    rows: list[list[Cell]] = []
    for one in measured:
        for name, part in (("validation", one.validation), ("test", one.test)):
            if part is not None:
                scores = [_percent(score) for score in (part.scores.top1, part.scores.top5, part.scores.macro_recall)]
                top1, top5, recall = scores
                mean = _percent(mean_over_sources(part))
                rows.append(
                    [one.run.recipe["name"], name, part.scores.photos, top1, interval_text(part), mean, top5, recall]
                )
    columns = ("recipe", "part", "photos", "top-1", "95 % interval", "by source", "top-5", "mean recall of the classes")
    caption = (
        "The epoch was chosen on the validation photos, which makes their figures slightly too good; nothing was "
        "chosen on the test photos. Intervals are from resampling sources where the photos name them, else Wilson's; "
        "by source is the mean of the top-1 accuracies on each."
    )
    text = [f"{one.run.recipe['name']}: {one.run.recipe['description']}." for one in measured]
    return Section("Accuracy", text, tables=[Table(columns, rows, caption)])


def _run_section(one: Measured) -> Section:
    run, part = one.run, one.test or one.validation
    cost, name = run.cost, run.recipe["name"]
    time = "unknown time" if cost.training_s is None else duration(cost.training_s)
    text = (
        f"{run.recipe['architecture']}, {cost.parameters:,} parameters, {cost.epochs} epochs on "
        f"{cost.training_photos:,} photos in {time}; the weights are those of epoch {cost.best_epoch}.",
        run.overfitting.verdict,
    )
    pairs: list[list[Cell]] = [[cell.truth, cell.answer, cell.photos] for cell in part.most_confused]
    counts = confusion_counts(part, run.labels)
    plots = [
        Plot(
            lambda palette: loss_curves(run.epochs, palette),
            "Loss by epoch on the training and on the validation photos, which are those of the column `split`.",
        ),
        Plot(lambda palette: accuracy_curves(run.epochs, palette), "Top-1 accuracy by epoch."),
        Plot(
            lambda palette: confusion_heatmap(counts, run.labels, palette),
            f"Number of {'test' if one.test else 'validation'} photos, {int(counts.sum()):,} in all, by truth and "
            "prediction; the colour is its share of the row.",
        ),
    ]
    table = Table(("truth", "prediction", "photos"), pairs, "The pairs that were confused most often.")
    return Section(f"Recipe {name}", text, tables=[table], plots=plots)


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{fraction:.1%}"
