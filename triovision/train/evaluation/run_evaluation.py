"""Figures of a finished run on any photos, by the code that measures a run on the photos that it held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from triovision.metrics.country import SplitMetrics
from triovision.train.data.dataset import targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import CountryRun
from triovision.train.evaluation.metrics import Answers, split_metrics
from triovision.train.models.forward import network_outputs


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
    answers = Answers(
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


def figures(metrics: SplitMetrics) -> dict[str, float | None]:
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
