"""Calibration of an installed model on photos with known countries, cross-fitted by source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from triovision.inference.calibration import (
    fit_abstention_threshold,
    fit_conformal_threshold,
    fit_radius_factor,
    fit_temperature,
    log_probabilities,
)
from triovision.inference.card import Calibration, ModelCard
from triovision.inference.prediction import MAX_DISTANCE_KM
from triovision.train.data.dataset import NO_LABEL
from triovision.train.evaluation.labelled_photos import (
    LabelledPhotos,
    Mask,
    OnPhoto,
    cross_fit_halves,
    labelled_photos,
)
from triovision.train.evaluation.metrics import expected_calibration_error, in_top_k
from triovision.train.evaluation.predict import ManifestPredictions

COVERAGE: Final = 0.9
RADIUS_COVERAGES: Final = (0.5, COVERAGE)
#: Smallest number of photos at or above the abstention threshold.
MIN_ANSWERED: Final = 20
#: Smallest number of photos with a position for the radii.
_MIN_LOCATED: Final = 20


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics of a calibration. Photos of countries that the model does not know are wrong.

    Attributes:
        photos: Number of photos.
        sources: Number of sources; None if the manifest names none.
        top1: Fraction of photos whose most probable country is right.
        top5: Fraction of photos whose country is among the five most probable ones.
        calibration_error: Expected calibration error over 15 bins.
        answered: Fraction of photos for which the model does not abstain.
        answered_accuracy: Accuracy among these; None without any.
        set_coverage: Fraction of the photos of known countries whose conformal set holds the truth.
        radius_holds: Fraction of the photos with a position within the 50 % radius; None without any.
        radius_90_holds: The same for 90 %.
    """

    photos: int
    sources: int | None
    top1: float
    top5: float
    calibration_error: float
    answered: float
    answered_accuracy: float | None
    set_coverage: float
    radius_holds: float | None
    radius_90_holds: float | None


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A fitted calibration and its evaluation.

    Attributes:
        calibration: Fitted on all photos; its radius factors are the card's if too few photos have a position.
        halves: Column by which the photos were halved for cross-fitting: `"source"`, `"place"` or `"photo"`.
        before: Metrics of the card's calibration.
        after: Metrics by cross-fitting: each half is measured with the calibration fitted on the other half.
        located: Number of photos with a position.
        radii_fitted: Whether the radius factors were fitted.
    """

    calibration: Calibration
    halves: str
    before: Scores
    after: Scores
    located: int
    radii_fitted: bool


def recalibrate(
    predictions: ManifestPredictions, card: ModelCard, accuracy: float, manifest: str, on_photo: OnPhoto
) -> Recalibration:
    """Fit a calibration on photos and evaluate it by cross-fitting.

    Args:
        predictions: Predictions of the model with the calibration of its card, with all countries.
        card: Card of the model.
        accuracy: Target accuracy among the photos for which the model does not abstain.
        manifest: Name of the manifest.
        on_photo: See `OnPhoto`; called four times for each photo with a position.

    Raises:
        ManifestError: If fewer than 50 photos, or photos of fewer than 2 countries, are of countries that the model
            knows.
    """
    photos = labelled_photos(predictions, card.labels, manifest)
    every = np.full(len(photos.target), fill_value=True)
    column, half = cross_fit_halves(predictions.table, photos.target != NO_LABEL)
    sources = int(predictions.table["source"].nunique()) if "source" in predictions.table else None
    base = card.calibration
    located = int(photos.located.sum())
    named = "of unnamed sources" if sources is None else f"of {sources} source{'s' * (sources != 1)}"
    fitted_on = f"{len(every)} photos {named}, manifest {manifest}, {datetime.now(UTC).date().isoformat()}"
    if located < _MIN_LOCATED:
        fitted_on += f"; radii not fitted, as in the card: {base.fitted_on}"
    before, after = _Applied(photos), _Applied(photos)
    before.apply(every, base, base, on_photo)
    for rows, others in ((half, ~half), (~half, half)):
        after.apply(rows, _fit(photos, others, base, accuracy, fitted_on, on_photo), base, on_photo)
    return Recalibration(
        calibration=_fit(photos, every, base, accuracy, fitted_on, on_photo),
        halves=column,
        before=before.scores(sources),
        after=after.scores(sources),
        located=located,
        radii_fitted=located >= _MIN_LOCATED,
    )


class _Applied:
    """Decisions of one or more calibrations on photos.

    Args:
        photos: All photos; `apply` must be called for each of them before `scores`.
    """

    def __init__(self, photos: LabelledPhotos) -> None:
        self._photos = photos
        n = len(photos.target)
        self._probability = photos.probability.copy()
        self._answered, self._in_set = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._within = np.zeros((n, len(RADIUS_COVERAGES)), np.bool_)

    def apply(self, rows: Mask, calibration: Calibration, base: Calibration, on_photo: OnPhoto) -> None:
        """Decide on some photos with one calibration."""
        photos, ratio = self._photos, calibration.temperature / base.temperature
        self._probability[rows] = probability = photos.at(ratio)[rows]
        target = photos.target[rows]
        of_truth = np.where(target == NO_LABEL, -1, probability[np.arange(len(target)), target])
        self._answered[rows] = probability.max(axis=1) >= calibration.abstention_threshold
        # The most probable country is always in the set.
        right = probability.argmax(axis=1) == target
        self._in_set[rows] = (of_truth >= calibration.conformal_threshold) | right
        located = rows & photos.located
        error_km, radius_km = photos.errors_and_radii(located, ratio, on_photo)
        factors = np.array([calibration.radius_factor, calibration.radius_90_factor])
        self._within[located] = error_km[:, None] <= np.minimum(MAX_DISTANCE_KM, radius_km * factors)

    def scores(self, sources: int | None) -> Scores:
        """Metrics over all photos."""
        target, located = self._photos.target, self._photos.located
        known = target != NO_LABEL
        right = self._probability.argmax(axis=1) == target
        top5 = np.zeros(len(target), np.bool_)
        top5[known] = in_top_k(self._probability[known], target[known], 5)
        holds = self._within[located].mean(axis=0).tolist() if located.any() else (None, None)
        return Scores(
            photos=len(target),
            sources=sources,
            top1=float(right.mean()),
            top5=float(top5.mean()),
            calibration_error=expected_calibration_error(self._probability.max(axis=1), right),
            answered=float(self._answered.mean()),
            answered_accuracy=float(right[self._answered].mean()) if self._answered.any() else None,
            set_coverage=float(self._in_set[known].mean()),
            radius_holds=holds[0],
            radius_90_holds=holds[1],
        )


def _fit(
    photos: LabelledPhotos, rows: Mask, base: Calibration, accuracy: float, fitted_on: str, on_photo: OnPhoto
) -> Calibration:
    """Fit on some photos; the radius factors stay those of `base` where too few photos have a position."""
    known = rows & (photos.target != NO_LABEL)
    target, weight = photos.target[known], photos.weight[known]
    ratio = fit_temperature(log_probabilities(photos.probability[known]), target, weight)
    probability = photos.at(ratio)
    confidence, right = probability.max(axis=1)[rows], (probability.argmax(axis=1) == photos.target)[rows]
    factors = [base.radius_factor, base.radius_90_factor]
    located = rows & photos.located
    if located.sum() >= _MIN_LOCATED:
        error_km, radius_km = photos.errors_and_radii(located, ratio, on_photo)
        pairs = zip(radius_km.T, RADIUS_COVERAGES, strict=True)
        factors = [fit_radius_factor(error_km, radius, share, photos.weight[located]) for radius, share in pairs]
    return Calibration(
        temperature=base.temperature * ratio,
        conformal_threshold=fit_conformal_threshold(probability[known], target, COVERAGE, weight),
        conformal_coverage=COVERAGE,
        abstention_threshold=fit_abstention_threshold(confidence, right, accuracy, photos.weight[rows], MIN_ANSWERED),
        radius_factor=factors[0],
        radius_90_factor=factors[1],
        fitted_on=fitted_on,
    )
