"""Figures of a finished run: from the logits of its held-out photos to the values of `metrics.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binned_statistic
from sklearn.metrics import precision_recall_fscore_support, recall_score
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_calibration_error, multiclass_accuracy

from triovision.geo.continents import continent_code
from triovision.inference.calibration import probabilities
from triovision.inference.card import Calibration
from triovision.metrics.country import (
    ConfusionCell,
    CountryScore,
    PhotoAnswer,
    Reliability,
    ReliabilityBin,
    RiskPoint,
    Scores,
    SplitMetrics,
)
from triovision.train.data.dataset import NO_LABEL

_BINS = 15
_CURVE_POINTS = 200
_EXAMPLES = 3
_SHOWN_PHOTOS = 12


@dataclass(frozen=True, slots=True)
class Answers:
    """What a run says of the photos of one split.

    Attributes:
        file: Names in the manifest, `(n,)`.
        truth: Country of each photo, with a label or without, `(n,)`.
        logits: Shape `(n, n_labels)`.
        target: Index of the truth among the labels, `NO_LABEL` where it has none, `(n,)`.
        fitted: True for the photos that calibration was fitted on, `(n,)`.
    """

    file: NDArray[np.str_]
    truth: NDArray[np.str_]
    logits: NDArray[np.float32]
    target: NDArray[np.int64]
    fitted: NDArray[np.bool_]


def split_metrics(
    answers: Answers, labels: Sequence[str], training_photos: Mapping[str, int], calibration: Calibration | None
) -> SplitMetrics:
    """All figures of one split.

    Args:
        answers: See `Answers`.
        labels: Countries in the order of the logits.
        training_photos: Number of training photos by country.
        calibration: Fitted on the photos that `answers.fitted` marks; None when nothing could be fitted.
    """
    names = np.asarray(labels)
    temperature = 1.0 if calibration is None else calibration.temperature
    probability = probabilities(answers.logits, temperature)
    answer, correct = names[answers.logits.argmax(axis=1)], answers.logits.argmax(axis=1) == answers.target
    measured = ~answers.fitted
    logits, target = answers.logits[measured], answers.target[measured]
    confidence = probability[measured].max(axis=1)
    curve, area = risk_coverage(confidence, correct[measured])
    threshold = None if calibration is None else calibration.abstention_threshold
    photos = _photo_answers(answers, answer, probability)
    return SplitMetrics(
        scores=scores(answers.logits, answers.target),
        countries=_country_scores(answers.target, answers.logits.argmax(axis=1), labels, training_photos),
        confusion=_confusion(answers, answer, probability.max(axis=1)),
        measured=int(measured.sum()),
        before=reliability(logits, target, 1.0) if len(target) else None,
        after=reliability(logits, target, temperature) if len(target) and calibration is not None else None,
        risk_coverage=curve,
        aurc=area,
        at_threshold=None if threshold is None else risk_at(threshold, confidence, correct[measured]),
        best=tuple(p for p in photos if p.answer == p.truth)[:_SHOWN_PHOTOS],
        worst=tuple(p for p in photos if p.answer != p.truth)[:_SHOWN_PHOTOS],
    )


def scores(logits: NDArray[np.float32], target: NDArray[np.int64]) -> Scores:
    """Accuracy over the photos whose country has a label.

    Args:
        logits: Shape `(n, n_labels)`.
        target: True labels `(n,)`, `NO_LABEL` where there is none.
    """
    known = target != NO_LABEL
    if not known.any():
        none = dict.fromkeys(("top1", "top5", "macro_recall", "negative_log_likelihood"))
        return Scores(photos=0, without_label=len(target), **none)
    outputs, truth = torch.from_numpy(logits[known]), torch.from_numpy(target[known])
    n_labels = logits.shape[1]
    # `argmax`, not torchmetrics' top-k of one, so that ties fall alike in every figure.
    first = logits[known].argmax(axis=1)
    top5 = multiclass_accuracy(outputs, truth, n_labels, average="micro", top_k=min(5, n_labels))
    present = np.unique(target[known])
    return Scores(
        photos=int(known.sum()),
        without_label=int((~known).sum()),
        top1=float((first == target[known]).mean()),
        top5=float(top5),
        macro_recall=float(recall_score(target[known], first, labels=present, average="macro", zero_division=0)),
        negative_log_likelihood=float(F.cross_entropy(outputs.double(), truth)),
    )


def reliability(logits: NDArray[np.float32], target: NDArray[np.int64], temperature: float) -> Reliability:
    """Calibration error and reliability bins of the most probable country at a temperature.

    Args:
        logits: Shape `(n, n_labels)`, n at least 1.
        target: True labels `(n,)`; a photo without a label (`NO_LABEL`) counts as a miss.
        temperature: What to divide the logits by.
    """
    probability = probabilities(logits, temperature)
    confidence, correct = probability.max(axis=1), probability.argmax(axis=1) == target
    error = binary_calibration_error(torch.from_numpy(confidence), torch.from_numpy(correct.astype(np.int64)), _BINS)
    known = target != NO_LABEL
    chosen = probability[np.flatnonzero(known), target[known]]
    count, _, _ = binned_statistic(confidence, confidence, "count", _BINS, (0, 1))
    mean, _, _ = binned_statistic(confidence, [confidence, correct], "mean", _BINS, (0, 1))
    return Reliability(
        temperature=temperature,
        expected_calibration_error=float(error),
        negative_log_likelihood=float(-np.log(np.maximum(chosen, 1e-300)).mean()) if known.any() else None,
        bins=tuple(
            ReliabilityBin(photos=int(n), probability=min(1.0, float(p)), accuracy=float(a))
            for n, p, a in zip(count, *mean, strict=True)
            if n
        ),
    )


def risk_coverage(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> tuple[tuple[RiskPoint, ...], float | None]:
    """Risk against coverage as the threshold falls, and the area under the curve.

    "Selective Classification for Deep Neural Networks" (Geifman and El-Yaniv, 2017). The area is the mean of the
    risk over all coverages k/n.

    Args:
        confidence: Probability of the most probable country `(n,)`.
        correct: Whether that country is the truth `(n,)`.

    Returns:
        At most 200 points from the smallest coverage to all photos, and the area; nothing for no photos.
    """
    n = len(confidence)
    if n == 0:
        return (), None
    order = np.argsort(-confidence, kind="stable")
    risk = np.cumsum(~correct[order]) / np.arange(1, n + 1)
    shown = np.unique(np.linspace(0, n - 1, min(n, _CURVE_POINTS)).round().astype(int))
    points = tuple(
        RiskPoint(threshold=min(1.0, float(confidence[order[i]])), coverage=(i + 1) / n, risk=float(risk[i]))
        for i in shown.tolist()
    )
    return points, float(risk.mean())


def risk_at(threshold: float, confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> RiskPoint:
    """Coverage and risk of answering at or above one threshold."""
    given = confidence >= threshold
    return RiskPoint(
        threshold=threshold,
        coverage=float(given.mean()) if len(given) else 0.0,
        risk=float(1 - correct[given].mean()) if given.any() else None,
    )


def _country_scores(
    target: NDArray[np.int64], first: NDArray[np.int64], labels: Sequence[str], training_photos: Mapping[str, int]
) -> tuple[CountryScore, ...]:
    # A photo without a label (-1) has no row of its own, but its wrong answer counts against precision.
    every = np.arange(len(labels))
    if len(target) == 0:
        precision = recall = np.zeros(len(labels))
    else:
        precision, recall, _, _ = precision_recall_fscore_support(target, first, labels=every, zero_division=0)
    photos, answers = Counter(target.tolist()), Counter(first.tolist())
    rows = [
        CountryScore(
            country=country,
            continent=continent_code(country),
            training_photos=training_photos.get(country, 0),
            photos=photos[i],
            answers=answers[i],
            recall=float(recall[i]) if photos[i] else None,
            precision=float(precision[i]) if answers[i] else None,
        )
        for i, country in enumerate(labels)
    ]
    return tuple(sorted(rows, key=lambda row: (row.continent, row.country)))


def _confusion(
    answers: Answers, answer: NDArray[np.str_], confidence: NDArray[np.float64]
) -> tuple[ConfusionCell, ...]:
    files: dict[tuple[str, str], list[str]] = {}
    for row in np.argsort(-confidence, kind="stable"):
        files.setdefault((str(answers.truth[row]), str(answer[row])), []).append(str(answers.file[row]))
    return tuple(
        ConfusionCell(
            truth=truth,
            answer=given,
            photos=len(names),
            examples=() if truth == given else tuple(names[:_EXAMPLES]),
        )
        for (truth, given), names in sorted(files.items())
    )


def _photo_answers(
    answers: Answers, answer: NDArray[np.str_], probability: NDArray[np.float64]
) -> tuple[PhotoAnswer, ...]:
    """Every photo, the surest answer first."""
    confidence = probability.max(axis=1)
    return tuple(
        PhotoAnswer(
            file=str(answers.file[row]),
            truth=str(answers.truth[row]),
            answer=str(answer[row]),
            probability=min(1.0, float(confidence[row])),
            probability_of_truth=(
                None if answers.target[row] == NO_LABEL else min(1.0, float(probability[row, answers.target[row]]))
            ),
        )
        for row in np.argsort(-confidence, kind="stable")
    )
