"""Runs of the study: each recipe trained, its epoch chosen on validation photos, and its test photos measured once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.cars.parts import TEST
from triovision.files import atomic_write
from triovision.metrics.country import METRICS, RunMetrics, Scores, SplitMetrics, read_metrics
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.evaluation.country import evaluate_run, write_run_metrics
from triovision.train.evaluation.intervals import Interval
from triovision.train.evaluation.model_studies import proportion_interval
from triovision.train.recipes.country_recipe import Recipe

#: Metrics of the test photos, beside the `metrics.json` of a run.
TEST_METRICS: Final = "test.json"
#: Accuracy that the answers above the fitted threshold should have.
_TARGET_ACCURACY: Final = 0.75


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics of one run.

    Attributes:
        run: Metrics on the validation photos, with learning curves and costs.
        test: Metrics on the test photos, by which nothing was chosen; None where there are none.
    """

    run: RunMetrics
    test: SplitMetrics | None

    @property
    def validation(self) -> SplitMetrics:
        """Metrics on the validation photos."""
        return next(iter(self.run.splits.values()))


def run_study(
    recipes: Sequence[Recipe],
    manifest: Manifest,
    out: Path,
    weights: Path | None,
    options: LoadOptions,
    log: Callable[[str], object],
) -> list[Measured]:
    """Train and measure recipes, each in a folder of its name; what an earlier call finished is read.

    Args:
        recipes: Recipes with the label of the manifest.
        manifest: Photos with the column `split`.
        out: Parent of the folders.
        weights: Initial weights of the backbone; None for those of timm.
        options: How photos are read.
        log: Receives a message for each recipe.

    Raises:
        RecipeError: If a recipe cannot be trained or measured; see `train_country`.
    """
    measured = []
    for recipe in recipes:
        folder = out / recipe.name
        log(f"{recipe.name}: {recipe.description}")
        train_country(recipe, manifest, folder, weights, options)
        measured.append(_measure(folder, manifest, options.workers))
        for line in accuracy_lines(measured[-1]):
            log(f"  {line}")
    return measured


def _measure(folder: Path, manifest: Manifest, workers: int) -> Measured:
    run = read_country_run(folder)
    if (folder / METRICS).exists():
        metrics = read_metrics(folder)
    else:
        metrics = write_run_metrics(run, manifest, _TARGET_ACCURACY, workers)
    photos = manifest.where(manifest.table["split"] == TEST)
    if not len(photos):
        return Measured(metrics, None)
    stored = folder / TEST_METRICS
    if not stored.exists():
        atomic_write(stored, evaluate_run(run, manifest, photos, workers).metrics.model_dump_json(indent=1) + "\n")
    return Measured(metrics, SplitMetrics.model_validate_json(stored.read_bytes()))


def accuracy_lines(measured: Measured) -> list[str]:
    """Accuracy with its interval on the validation and the test photos, one line each."""
    parts = {"validation": measured.validation} | ({TEST: measured.test} if measured.test else {})
    return [f"{name:10} {_scores_text(part)}" for name, part in parts.items()]


def _scores_text(part: SplitMetrics) -> str:
    scores = part.scores
    if scores.top1 is None or scores.top5 is None:
        return "no photo of a class that the run knows"
    mean = mean_over_sources(part)
    by_source = "" if mean is None else f", mean over sources {mean:.1%}"
    return (
        f"top-1 {scores.top1:.1%} ({interval_text(part)}){by_source}, top-5 {scores.top5:.1%}, {scores.photos:,} photos"
    )


def mean_over_sources(part: SplitMetrics) -> float | None:
    """Mean over the sources of the top-1 accuracy on each, for photos that name their sources."""
    return None if part.by_source is None else part.by_source.top1_by_source


def interval_text(part: SplitMetrics) -> str:
    """95 % interval of the top-1 accuracy as text."""
    found = top1_interval(part)
    return "no interval" if found is None else f"{found.low:.1%} to {found.high:.1%}"


def top1_interval(part: SplitMetrics) -> Interval | None:
    """95 % interval of the top-1 accuracy: from resampling sources where they are known, else Wilson's."""
    scores: Scores = part.scores
    by = part.by_source
    if by is not None and by.top1_low is not None and by.top1_high is not None:
        return Interval(by.top1_low, by.top1_high)
    return None if scores.top1 is None else proportion_interval(scores.top1, scores.photos)
