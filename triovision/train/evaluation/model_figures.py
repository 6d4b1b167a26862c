"""Measurement of the figures of a model card."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binned_statistic

from triovision.files import atomic_write
from triovision.geo import continent_code
from triovision.inference.calibration import fit_temperature, log_probabilities
from triovision.inference.card import ModelCard
from triovision.metrics.country import ReliabilityBin, RiskPoint
from triovision.metrics.model_figures import FIGURES, ContinentCell, CountryRecall, ModelFigures
from triovision.train.data.dataset import NO_LABEL
from triovision.train.evaluation.intervals import group_interval, sources_of
from triovision.train.evaluation.labelled_photos import cross_fit_halves, labelled_photos
from triovision.train.evaluation.metrics import ECE_BINS, expected_calibration_error, risk_coverage
from triovision.train.evaluation.predict import ManifestPredictions


@dataclass(frozen=True, slots=True, eq=False)
class TopAnswers:
    """Most probable country of each photo, with the truth. All arrays have the shape `(n,)`, n at least 1.

    Attributes:
        truth: True country.
        answer: Most probable country.
        probability: Its probability, calibrated without the photo's source.
        answered: True where the model does not abstain.
        source: Source of each photo, see `sources_of`; None if unknown.
    """

    truth: NDArray[np.str_]
    answer: NDArray[np.str_]
    probability: NDArray[np.float64]
    answered: NDArray[np.bool_]
    source: NDArray[np.intp] | None


def top_answers(predictions: ManifestPredictions) -> TopAnswers:
    """Answers of predictions that are already calibrated without the photos' sources."""
    guesses = [prediction.countries[0] for prediction in predictions.predictions]
    return TopAnswers(
        truth=predictions.table["country"].to_numpy(str),
        answer=np.array([guess.country for guess in guesses]),
        probability=np.array([guess.probability for guess in guesses]),
        answered=np.array([not prediction.abstained for prediction in predictions.predictions]),
        source=sources_of(predictions.table),
    )


def cross_fit_answers(predictions: ManifestPredictions, card: ModelCard, manifest: str) -> tuple[TopAnswers, str]:
    """Answers with the temperature fitted on the other half of the sources.

    The card's calibration may be fitted on these photos; the reliability of its own probabilities would be flattered.

    Args:
        predictions: Predictions with the calibration of the card, with all countries.
        card: Card of the model.
        manifest: Name of the manifest, for the error.

    Returns:
        The answers, and the column by which the photos were halved: `"source"`, `"place"` or `"photo"`.

    Raises:
        ManifestError: As for `labelled_photos`.
    """
    photos = labelled_photos(predictions, card.labels, manifest)
    known = photos.target != NO_LABEL
    column, half = cross_fit_halves(predictions.table, known)
    probability = photos.probability.copy()
    for rows, others in ((half, ~half & known), (~half, half & known)):
        ratio = fit_temperature(
            log_probabilities(photos.probability[others]), photos.target[others], photos.weight[others]
        )
        probability[rows] = photos.at(ratio)[rows]
    confidence = probability.max(axis=1).clip(0, 1)
    answers = TopAnswers(
        truth=predictions.table["country"].to_numpy(str),
        answer=np.asarray(card.labels)[probability.argmax(axis=1)],
        probability=confidence,
        answered=confidence >= card.calibration.abstention_threshold,
        source=sources_of(predictions.table),
    )
    return answers, column


def measure_figures(answers: TopAnswers, card: ModelCard, measured_on: str, command: str) -> ModelFigures:
    """Compute the figures of a card.

    Args:
        answers: Answers of the model to photos of sources that it did not see.
        card: Card of the model.
        measured_on: Description of the photos and of the calibration.
        command: Command that measures, for the file.
    """
    right = answers.answer == answers.truth
    interval = None if answers.source is None else group_interval(right, answers.source)
    curve, _ = risk_coverage(answers.probability, right)
    return ModelFigures(
        model=card.id,
        weights_sha256=card.weights_sha256,
        measured_on=measured_on,
        command=command,
        photos=len(right),
        sources=None if answers.source is None else len(np.unique(answers.source)),
        top1=float(right.mean()),
        top1_low=None if interval is None else interval.low,
        top1_high=None if interval is None else interval.high,
        expected_calibration_error=expected_calibration_error(answers.probability, right),
        reliability=_reliability(answers.probability, right),
        risk_coverage=curve,
        at_threshold=RiskPoint(
            threshold=card.calibration.abstention_threshold,
            coverage=float(answers.answered.mean()),
            risk=float(1 - right[answers.answered].mean()) if answers.answered.any() else None,
        ),
        countries=tuple(_recall(answers, str(country)) for country in np.unique(answers.truth)),
        continents=_continents(answers),
    )


def write_figures(folder: Path, figures: ModelFigures) -> Path:
    """Write `figures.json` into a model folder."""
    path = folder / FIGURES
    atomic_write(path, figures.model_dump_json(indent=1) + "\n")
    return path


def _reliability(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    count, _, _ = binned_statistic(probability, probability, "count", ECE_BINS, (0, 1))
    mean, _, _ = binned_statistic(probability, [probability, right], "mean", ECE_BINS, (0, 1))
    return tuple(
        ReliabilityBin(photos=int(n), probability=min(1.0, float(p)), accuracy=float(a))
        for n, p, a in zip(count, *mean, strict=True)
        if n
    )


def _recall(answers: TopAnswers, country: str) -> CountryRecall:
    rows = answers.truth == country
    right = answers.answer[rows] == country
    source = None if answers.source is None else answers.source[rows]
    interval = None if source is None else group_interval(right, source)
    return CountryRecall(
        country=country,
        photos=int(rows.sum()),
        right=int(right.sum()),
        sources=None if source is None else len(np.unique(source)),
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
    )


def _continents(answers: TopAnswers) -> tuple[ContinentCell, ...]:
    pairs = zip(answers.truth.tolist(), answers.answer.tolist(), strict=True)
    cells = Counter((continent_code(truth), continent_code(answer)) for truth, answer in pairs)
    rows = [{"truth": truth, "answer": answer, "photos": n} for (truth, answer), n in sorted(cells.items())]
    return tuple(ContinentCell.model_validate(row) for row in rows)
