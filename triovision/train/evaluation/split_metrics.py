"""Metrics of one validation split: accuracy, countries, confusion, reliability, risk-coverage, example photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import binned_statistic
from sklearn.metrics import precision_recall_fscore_support

from triovision.geo.continents import continent_code
from triovision.inference.calibration import probabilities
from triovision.inference.card import Calibration
from triovision.metrics.country import (
    ConfusionCell,
    CountryScore,
    PhotoAnswer,
    Reliability,
    ReliabilityBin,
    Scores,
    SourceScores,
    SplitMetrics,
)
from triovision.train.data.dataset import NO_LABEL
from triovision.train.evaluation.intervals import source_metrics
from triovision.train.evaluation.metrics import (
    ECE_BINS,
    accuracy,
    expected_calibration_error,
    in_top_k,
    negative_log_likelihood,
    risk_at,
    risk_coverage,
)

_EXAMPLES = 3
_SHOWN_PHOTOS = 12


@dataclass(frozen=True, slots=True)
class SplitLogits:
    """Logits of a run for the photos of one split, with the truth.

    Attributes:
        file: File of each photo in the manifest, shape `(n,)`.
        truth: Country (or other label) of each photo, known to the run or not, shape `(n,)`.
        logits: Shape `(n, n_labels)`.
        target: Index of the true label, `NO_LABEL` where there is none, shape `(n,)`.
        fitted: Mask of the photos that calibration was fitted on, shape `(n,)`.
        source: Source of each photo, see `sources_of`, shape `(n,)`; None if unknown.
    """

    file: NDArray[np.str_]
    truth: NDArray[np.str_]
    logits: NDArray[np.float32]
    target: NDArray[np.int64]
    fitted: NDArray[np.bool_]
    source: NDArray[np.intp] | None = None


def split_metrics(
    data: SplitLogits,
    labels: Sequence[str],
    training_photos: Mapping[str, int],
    calibration: Calibration | None,
    *,
    continents: bool = True,
) -> SplitMetrics:
    """All metrics of one split.

    Args:
        data: See `SplitLogits`.
        labels: Countries in the order of the logits.
        training_photos: Number of training photos by country.
        calibration: Calibration fitted on the photos `data.fitted`; None if there were too few.
        continents: Whether the labels are countries, which have a continent.
    """
    names = np.asarray(labels)
    temperature = 1.0 if calibration is None else calibration.temperature
    probability = probabilities(data.logits, temperature)
    answer, correct = names[data.logits.argmax(axis=1)], data.logits.argmax(axis=1) == data.target
    measured = ~data.fitted
    logits, target = data.logits[measured], data.target[measured]
    confidence = probability[measured].max(axis=1)
    curve, area = risk_coverage(confidence, correct[measured])
    threshold = None if calibration is None else calibration.abstention_threshold
    photos = _photo_answers(data, answer, probability)
    return SplitMetrics(
        scores=scores(data.logits, data.target),
        by_source=source_scores(data),
        countries=_country_scores(
            data.target, data.logits.argmax(axis=1), labels, training_photos, continent_code if continents else _nowhere
        ),
        confusion=_confusion(data, answer, probability.max(axis=1)),
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
        target: True labels, shape `(n,)`; `NO_LABEL` where there is none.
    """
    known = target != NO_LABEL
    logits, truth = logits[known], target[known]
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    return Scores(
        photos=len(truth),
        without_label=int((~known).sum()),
        **accuracy(truth, logits.argmax(axis=1), in_top_k(logits, truth, 5)),
        negative_log_likelihood=float(-log_p[np.arange(len(truth)), truth].mean()) if len(truth) else None,
    )


def source_scores(data: SplitLogits) -> SourceScores | None:
    """Accuracy by source over the photos whose country has a label; None if the sources are unknown."""
    if data.source is None:
        return None
    known = data.target != NO_LABEL
    logits, truth = data.logits[known], data.target[known]
    right = {"top1": logits.argmax(axis=1) == truth, "top5": in_top_k(logits, truth, 5)}
    return SourceScores.model_validate(source_metrics(right, data.source[known]))


def reliability(logits: NDArray[np.float32], target: NDArray[np.int64], temperature: float) -> Reliability:
    """Calibration error and reliability bins of the most probable country at a temperature.

    Args:
        logits: Shape `(n, n_labels)`, n at least 1.
        target: True labels, shape `(n,)`; a photo without a label (`NO_LABEL`) counts as wrong.
        temperature: Temperature of the softmax.
    """
    probability = probabilities(logits, temperature)
    confidence, correct = probability.max(axis=1), probability.argmax(axis=1) == target
    known = target != NO_LABEL
    chosen = probability[np.flatnonzero(known), target[known]]
    count, _, _ = binned_statistic(confidence, confidence, "count", ECE_BINS, (0, 1))
    mean, _, _ = binned_statistic(confidence, [confidence, correct], "mean", ECE_BINS, (0, 1))
    return Reliability(
        temperature=temperature,
        expected_calibration_error=expected_calibration_error(confidence, correct),
        negative_log_likelihood=negative_log_likelihood(chosen, 1e-300),
        bins=tuple(
            ReliabilityBin(photos=int(n), probability=min(1.0, float(p)), accuracy=float(a))
            for n, p, a in zip(count, *mean, strict=True)
            if n
        ),
    )


def _nowhere(_: str) -> str:
    """Continent of a label that is no country."""
    return ""


def _country_scores(
    target: NDArray[np.int64],
    first: NDArray[np.int64],
    labels: Sequence[str],
    training_photos: Mapping[str, int],
    continent_of: Callable[[str], str],
) -> tuple[CountryScore, ...]:
    # A photo without a label (-1) has no row, but its prediction counts against the precision.
    classes = np.arange(len(labels))
    if len(target) == 0:
        precision = recall = np.zeros(len(labels))
    else:
        precision, recall, _, _ = precision_recall_fscore_support(target, first, labels=classes, zero_division=0)
    photos, answers = Counter(target.tolist()), Counter(first.tolist())
    rows = [
        CountryScore(
            country=country,
            continent=continent_of(country),
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
    data: SplitLogits, answer: NDArray[np.str_], confidence: NDArray[np.float64]
) -> tuple[ConfusionCell, ...]:
    files: dict[tuple[str, str], list[str]] = {}
    for row in np.argsort(-confidence, kind="stable"):
        files.setdefault((str(data.truth[row]), str(answer[row])), []).append(str(data.file[row]))
    return tuple(
        ConfusionCell(
            truth=truth,
            answer=predicted,
            photos=len(names),
            examples=() if truth == predicted else tuple(names[:_EXAMPLES]),
        )
        for (truth, predicted), names in sorted(files.items())
    )


def _photo_answers(
    data: SplitLogits, answer: NDArray[np.str_], probability: NDArray[np.float64]
) -> tuple[PhotoAnswer, ...]:
    """All photos, the most confident prediction first."""
    confidence = probability.max(axis=1)
    return tuple(
        PhotoAnswer(
            file=str(data.file[row]),
            truth=str(data.truth[row]),
            answer=str(answer[row]),
            probability=min(1.0, float(confidence[row])),
            probability_of_truth=(
                None if data.target[row] == NO_LABEL else min(1.0, float(probability[row, data.target[row]]))
            ),
        )
        for row in np.argsort(-confidence, kind="stable")
    )
