"""Calibration of a model on frozen backbones by out-of-source outputs, and predictions for these photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from triovision.geo import CandidatePlaces, distance_km
from triovision.geo.mixture import with_point
from triovision.inference.calibration import (
    fit_abstention_threshold,
    fit_conformal_threshold,
    fit_radius_factor,
    fit_temperature,
    probabilities,
)
from triovision.inference.card import Calibration
from triovision.inference.landmark_engine import guess, mixed_countries
from triovision.inference.landmarks import SAME_PLACE_KM
from triovision.inference.prediction import build_prediction_fields, rank_countries
from triovision.results import Prediction
from triovision.train.data.dataset import NO_LABEL
from triovision.train.frozen.cross_fit import PRECISE, FrozenData, OutOfSource

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]

_COVERAGE = 0.9
#: A photo whose position is that of a town is no proof against a landmark in that town.
_TOWN_KM = 10.0
#: Lowest probability at which a landmark is named.
NAMED_AT = 0.8
_UNFITTED = Calibration(
    temperature=1.0,
    conformal_threshold=0.0,
    conformal_coverage=_COVERAGE,
    abstention_threshold=0.0,
    fitted_on="",
)


@dataclass(frozen=True, slots=True)
class LandmarkLogit:
    """Logistic regression of "taken within a kilometre of the most similar landmark" on the evidence of a match.

    Attributes:
        coefficients: Weights of similarity, margin and lead.
        intercept: Constant.
    """

    coefficients: tuple[float, float, float]
    intercept: float

    def probability(self, evidence: Floats) -> Floats:
        """Return the probability for evidence of shape `(n, 3)`."""
        return np.asarray(expit(evidence @ np.array(self.coefficients) + self.intercept))


def match_evidence(outputs: OutOfSource) -> Floats:
    """Return the evidence of all matches, shape `(n, 3)`."""
    return np.array([match.evidence for match in outputs.matches])


def match_correct(data: FrozenData, outputs: OutOfSource) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each photo was taken within a kilometre of its match, and for which photos that is known.

    For a photo with the position of a town, any landmark within 10 km counts as right.
    """
    table = data.manifest.table
    lat = np.array([match.landmark.lat_deg for match in outputs.matches])
    lon = np.array([match.landmark.lon_deg for match in outputs.matches])
    away_km = distance_km(lat, lon, table["lat"].to_numpy(), table["lon"].to_numpy())
    limit_km = np.where(table["position"].isin(PRECISE), SAME_PLACE_KM, _TOWN_KM)
    return np.asarray(away_km <= limit_km), np.isfinite(np.asarray(away_km))


def fit_landmark_logit(data: FrozenData, outputs: OutOfSource, rows: Rows) -> LandmarkLogit:
    """Fit the probability of a landmark on some photos."""
    correct, known = match_correct(data, outputs)
    used = rows[known[rows]]
    model = LogisticRegression(C=1e3, max_iter=1000).fit(match_evidence(outputs)[used], correct[used])
    similarity, margin, lead = model.coef_[0].tolist()
    return LandmarkLogit((similarity, margin, lead), float(model.intercept_[0]))


def fit_head_temperature(data: FrozenData, outputs: OutOfSource, rows: Rows) -> float:
    """Fit the temperature of the country logits on some photos."""
    known = rows[data.target[rows] != NO_LABEL]
    return fit_temperature(outputs.logits[known], data.target[known])


def uncalibrated_predictions(
    data: FrozenData, outputs: OutOfSource, on_photo: Callable[[], object]
) -> tuple[Prediction, ...]:
    """Predict every photo as the engine would, with probabilities calibrated on the other folds.

    Radii, country set and abstention are not calibrated yet; see `fit_thresholds`.
    """
    places = CandidatePlaces(data.labels)
    evidence = match_evidence(outputs)
    country = np.empty(outputs.logits.shape)
    landmark = np.empty(len(evidence))
    for fold in data.folds:
        others, held = np.flatnonzero(data.fold != fold), np.flatnonzero(data.fold == fold)
        country[held] = probabilities(outputs.logits[held], fit_head_temperature(data, outputs, others))
        landmark[held] = fit_landmark_logit(data, outputs, others).probability(evidence[held])
    predictions = []
    for row, match in enumerate(outputs.matches):
        named = guess(match, float(landmark[row]))
        posterior = with_point(places.weighted(country[row]), named, SAME_PLACE_KM)
        ranking = rank_countries(data.labels, mixed_countries(country[row], data.labels, named))
        shown = named if named.probability >= NAMED_AT else None
        fields = build_prediction_fields(ranking, posterior, _UNFITTED, len(data.labels), shown)
        file = str(data.manifest.table["file"].iat[row])
        predictions.append(Prediction(photo=file, model="", **fields, elapsed_ms=0.0, device="", precision=""))
        on_photo()
    return tuple(predictions)


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Thresholds and radius factors, and the photos that they are fitted on.

    Attributes:
        correct: Whether the most probable country is right, shape `(n,)`.
        confidence: Its probability, shape `(n,)`.
        of_truth: Probability of the true country; NaN where it has no label, shape `(n,)`.
        named: Whether a landmark is named, shape `(n,)`.
        error_km: Distance from the best place to the truth; NaN where unknown, shape `(n,)`.
        radius_km: Uncalibrated radii for 50 % and 90 %, shape `(n, 2)`.
    """

    correct: NDArray[np.bool_]
    confidence: Floats
    of_truth: Floats
    named: NDArray[np.bool_]
    error_km: Floats
    radius_km: Floats

    def fit(self, rows: Rows, temperature: float, accuracy: float, fitted_on: str) -> Calibration:
        """Fit all thresholds on some photos.

        Photos with a named landmark have an answer without the abstention threshold, and no part in its fit.

        Args:
            rows: The photos.
            temperature: Temperature of the country logits.
            accuracy: Target accuracy of the answers.
            fitted_on: Description of the photos.
        """
        of_truth = self.of_truth[rows][np.isfinite(self.of_truth[rows])]
        unnamed = rows[~self.named[rows]]
        placed = rows[np.isfinite(self.error_km[rows])]
        factors = [
            fit_radius_factor(self.error_km[placed], self.radius_km[placed, i], q) for i, q in enumerate((0.5, 0.9))
        ]
        return Calibration(
            temperature=temperature,
            conformal_threshold=fit_conformal_threshold(
                of_truth[:, None], np.zeros(len(of_truth), np.int64), _COVERAGE
            ),
            conformal_coverage=_COVERAGE,
            abstention_threshold=fit_abstention_threshold(self.confidence[unnamed], self.correct[unnamed], accuracy),
            radius_factor=factors[0],
            radius_90_factor=factors[1],
            fitted_on=fitted_on,
        )


def thresholds(data: FrozenData, predictions: Sequence[Prediction]) -> Thresholds:
    """Collect what the thresholds are fitted on from uncalibrated predictions."""
    table = data.manifest.table
    truth = table["country"].tolist()
    first = [one.countries[0] for one in predictions]
    lat, lon = table["lat"].to_numpy(), table["lon"].to_numpy()
    of_truth = [
        next((guess.probability for guess in one.countries if guess.country == country), np.nan)
        for one, country in zip(predictions, truth, strict=True)
    ]
    place = np.array([(one.place.lat_deg, one.place.lon_deg, one.radius_km, one.radius_90_km) for one in predictions])
    return Thresholds(
        correct=np.array(
            [one.countries[0].country == country for one, country in zip(predictions, truth, strict=True)]
        ),
        confidence=np.array([guess.probability for guess in first]),
        of_truth=np.array(of_truth, np.float64),
        named=np.array([one.landmark is not None for one in predictions]),
        error_km=np.asarray(distance_km(place[:, 0], place[:, 1], lat, lon)),
        radius_km=place[:, 2:],
    )


def calibrated(prediction: Prediction, calibration: Calibration) -> Prediction:
    """Apply the thresholds and radius factors of a calibration to an uncalibrated prediction."""
    fields = build_prediction_fields(
        prediction.countries, prediction.posterior, calibration, len(prediction.countries), prediction.landmark
    )
    return replace(prediction, **fields)
