"""Calibration of a model on frozen backbones by out-of-source outputs, and predictions for these photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from triovision.geo import CandidatePlaces, distance_km
from triovision.geo.mixture import with_point
from triovision.geo.parts_of_world import part_of_world
from triovision.guesses import PlaceGuess
from triovision.inference.area import MIN_LANDMARK_PROBABILITY
from triovision.inference.calibration import (
    fit_abstention_threshold,
    fit_conformal_threshold,
    fit_radius_factor,
    fit_temperature,
    probabilities,
)
from triovision.inference.card import Calibration
from triovision.inference.landmark_engine import guess, mixed_countries
from triovision.inference.landmarks import SAME_PLACE_KM, match_probability
from triovision.inference.prediction import MAX_DISTANCE_KM, build_prediction_fields, rank_countries
from triovision.results import Prediction
from triovision.train.data.dataset import NO_LABEL
from triovision.train.evaluation.labelled_photos import source_size_weight
from triovision.train.frozen.cross_fit import PRECISE, FrozenData, OutOfSource

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]

_COVERAGE = 0.9
#: A photo whose position is that of a town is no proof against a landmark in that town.
_TOWN_KM = 10.0
#: Part of the sources for which temperature and country set hold.
_HARD_SOURCES = 0.75
#: Quantiles over the sources for the factors of the 50 % and the 90 % radius.
_RADIUS_QUANTILES = (0.45, 0.7)
#: Photos of a source, and number of such sources, for a quantile over sources.
_MIN_OF_SOURCE, _MIN_SOURCES = 20, 4
#: A threshold that fewer photos reach is not trusted.
_MIN_ANSWERS, _MIN_PARTS = 20, 100


@dataclass(frozen=True, slots=True)
class LandmarkLogit:
    """Logistic regression of "taken within a kilometre of the best landmark" on the evidence of a match.

    Attributes:
        coefficients: Weights of score, margin and lead.
        intercept: Constant.
    """

    coefficients: tuple[float, float, float]
    intercept: float

    def probability(self, evidence: Floats) -> Floats:
        """Return the probability for evidence of shape `(n, 3)`."""
        return match_probability(evidence, self.coefficients, self.intercept)


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
    model = LogisticRegression(C=1e3, max_iter=1000)
    model.fit(match_evidence(outputs)[used], correct[used], sample_weight=source_size_weight(data.manifest.table)[used])
    score, margin, lead = model.coef_[0].tolist()
    return LandmarkLogit((score, margin, lead), float(model.intercept_[0]))


def fit_head_temperature(data: FrozenData, outputs: OutOfSource, rows: Rows) -> float:
    """Fit the temperature of the country logits: three of four sources need no higher one; see `source_quantile`."""
    known = rows[data.target[rows] != NO_LABEL]
    return source_quantile(
        data, known, _HARD_SOURCES, lambda chosen: fit_temperature(outputs.logits[chosen], data.target[chosen])
    )


def source_quantile(data: FrozenData, rows: Rows, quantile: float, fit: Callable[[Rows], float]) -> float:
    """Fit a value on each source by itself and return a quantile over the sources.

    A stranger's photos are one more source. Sources differ so much that a value fitted on all photos together is
    overconfident on nearly half of them; this one holds for a chosen part of the sources.

    Args:
        data: All photos.
        rows: Photos to fit on.
        quantile: Quantile over the sources.
        fit: Function from photos to the value.

    Returns:
        The quantile over the sources with at least 20 photos; the value of all photos if fewer than four have so many.
    """
    source = data.manifest.table["source"].to_numpy()[rows]
    names, counts = np.unique(source, return_counts=True)
    large = names[counts >= _MIN_OF_SOURCE]
    if len(large) < _MIN_SOURCES:
        return fit(rows)
    return float(np.quantile([fit(rows[source == name]) for name in large], quantile))


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """Probabilities of the photos as the model would give them, calibrated on the other folds.

    Attributes:
        country: Probability of each country without the landmark, shape `(n, n_labels)`.
        landmark: Best landmark of each photo with its probability.
        mixed: Probability of each country, shape `(n, n_labels)`.
    """

    country: Floats
    landmark: tuple[PlaceGuess, ...]
    mixed: Floats


def mix_probabilities(data: FrozenData, outputs: OutOfSource) -> Mixed:
    """Compute the probabilities of every photo with temperature and landmark logit fitted on the other folds."""
    evidence = match_evidence(outputs)
    country, probability = np.empty(outputs.logits.shape), np.empty(len(evidence))
    for fold in data.folds:
        others, held = np.flatnonzero(data.fold != fold), np.flatnonzero(data.fold == fold)
        country[held] = probabilities(outputs.logits[held], fit_head_temperature(data, outputs, others))
        probability[held] = fit_landmark_logit(data, outputs, others).probability(evidence[held])
    landmark = tuple(guess(match, p) for match, p in zip(outputs.matches, probability.tolist(), strict=True))
    mixed = [mixed_countries(row, data.labels, one) for row, one in zip(country, landmark, strict=True)]
    return Mixed(country, landmark, np.array(mixed))


def fit_thresholds(data: FrozenData, mixed: Mixed, rows: Rows) -> Calibration:
    """Fit the thresholds of the country set, of abstention and of parts of the world on some photos.

    Photos with a named landmark have an answer without these thresholds, and no part in their fit.

    Args:
        data: All photos.
        mixed: Their probabilities.
        rows: Photos to fit on.
    """
    target, accuracy = data.target[rows], data.recipe.accuracy
    probability, known = mixed.mixed[rows], target != NO_LABEL
    unnamed = np.array([mixed.landmark[row].probability < MIN_LANDMARK_PROBABILITY for row in rows.tolist()])
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == target
    weight = source_size_weight(data.manifest.table)[rows]
    threshold = fit_abstention_threshold(
        confidence[unnamed], right[unnamed], accuracy, weight[unnamed], min_photos=_MIN_ANSWERS
    )
    abstained = unnamed & (confidence < threshold)
    parts, part_of_label = np.unique([part_of_world(label) for label in data.labels], return_inverse=True)
    by_part = probability[abstained] @ np.eye(len(parts))[part_of_label]
    truth = data.manifest.table["country"].iloc[rows[abstained]].map(part_of_world).to_numpy()
    part_right = parts[by_part.argmax(axis=1)] == truth
    return Calibration(
        temperature=1.0,  # the head has its own
        conformal_threshold=source_quantile(
            data,
            rows[known],
            1 - _HARD_SOURCES,
            lambda chosen: fit_conformal_threshold(mixed.mixed[chosen], data.target[chosen], _COVERAGE),
        ),
        conformal_coverage=_COVERAGE,
        abstention_threshold=threshold,
        part_of_world_threshold=fit_abstention_threshold(
            by_part.max(axis=1), part_right, accuracy, weight[abstained], min_photos=_MIN_PARTS
        ),
        fitted_on="",
    )


def predict_photos(
    data: FrozenData, mixed: Mixed, calibrations: Mapping[str, Calibration], on_photo: Callable[[], object]
) -> list[Prediction]:
    """Predict every photo as the engine would.

    Args:
        data: All photos.
        mixed: Their probabilities.
        calibrations: Calibration of the photos of each fold.
        on_photo: Called after each photo.
    """
    places, files = CandidatePlaces(data.labels), data.manifest.table["file"].tolist()
    predictions = []
    for row, (file, landmark) in enumerate(zip(files, mixed.landmark, strict=True)):
        posterior = with_point(places.weighted(mixed.country[row]), landmark, SAME_PLACE_KM)
        ranking = rank_countries(data.labels, mixed.mixed[row])
        calibration = calibrations[str(data.fold[row])]
        fields = build_prediction_fields(ranking, posterior, calibration, len(data.labels), landmark)
        predictions.append(Prediction(photo=file, model="", **fields, elapsed_ms=0.0, device="", precision=""))
        on_photo()
    return predictions


def fit_radius_factors(data: FrozenData, predictions: Sequence[Prediction], rows: Rows) -> tuple[float, float]:
    """Fit the factors of both radii on some photos, from predictions with factors of 1."""
    table = data.manifest.table
    place = np.array([(one.place.lat_deg, one.place.lon_deg, one.radius_km, one.radius_90_km) for one in predictions])
    error_km = np.asarray(distance_km(place[:, 0], place[:, 1], table["lat"].to_numpy(), table["lon"].to_numpy()))
    located = rows[np.isfinite(error_km[rows])]

    def factor(column: int, coverage: float, quantile: float) -> float:
        radius_km = place[:, column]
        return source_quantile(
            data, located, quantile, lambda chosen: fit_radius_factor(error_km[chosen], radius_km[chosen], coverage)
        )

    return factor(2, 0.5, _RADIUS_QUANTILES[0]), factor(3, 0.9, _RADIUS_QUANTILES[1])


def with_radius_factors(prediction: Prediction, factor: float, factor_90: float) -> Prediction:
    """Apply radius factors to a prediction with factors of 1, its area aside."""
    radius_km = min(MAX_DISTANCE_KM, prediction.radius_km * factor)
    radius_90_km = min(MAX_DISTANCE_KM, prediction.radius_90_km * factor_90)
    return replace(prediction, radius_km=radius_km, radius_90_km=max(radius_km, radius_90_km))
