"""Prediction fields from a place posterior, and predictions conditioned on evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from triovision.geo import EARTH_RADIUS_KM, Evidence, WeightedPlaces, city_places
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.inference.area import MIN_LANDMARK_PROBABILITY, choose_area
from triovision.inference.card import Calibration
from triovision.results import Prediction

_MAX_PLACES: Final = 20
_MIN_PLACES_IN_AREA: Final = 10
MAX_DISTANCE_KM: Final = pi * EARTH_RADIUS_KM


class PredictionFields(TypedDict):
    """Fields of a `Prediction` that depend on the probabilities of countries and places."""

    countries: tuple[CountryGuess, ...]
    country_set: tuple[str, ...]
    place: PlaceGuess
    radius_km: float
    radius_90_km: float
    places: tuple[PlaceGuess, ...]
    posterior: WeightedPlaces
    area: Area
    landmark: PlaceGuess | None
    abstained: bool
    calibrated: bool


def check_top_k(top_k: int) -> None:
    """Raise ValueError unless `top_k` is at least 1."""
    if top_k < 1:
        raise ValueError(f"`top_k` must be at least 1, got {top_k}")


def rank_countries(labels: Sequence[str], probability: NDArray[np.float64]) -> list[CountryGuess]:
    """Return all countries, most probable first; countries of equal probability keep the order of the labels.

    Args:
        labels: Countries.
        probability: Probability of each label, shape `(n_labels,)`.
    """
    return [CountryGuess(labels[i], float(probability[i])) for i in np.argsort(-probability, kind="stable")]


def build_prediction_fields(
    countries: Sequence[CountryGuess],
    posterior: WeightedPlaces,
    calibration: Calibration,
    top_k: int,
    landmark: PlaceGuess | None = None,
) -> PredictionFields:
    """Derive the place, the radii, the country set, the area and the abstention from a posterior.

    Args:
        countries: All countries, most probable first. The best place lies in the first one, unless the model abstains.
        posterior: Weighted places; their weights sum up to `countries` by country.
        calibration: Calibration of the model.
        top_k: Largest number of countries in the prediction.
        landmark: Landmark that the model recognised, with its calibrated probability; dropped below 0.8.
    """
    first = countries[0]
    if landmark is not None and landmark.probability < MIN_LANDMARK_PROBABILITY:
        landmark = None
    abstained = landmark is None and first.probability < calibration.abstention_threshold
    location = posterior.locate(None if abstained else first.country, _MAX_PLACES)
    radius_km = min(MAX_DISTANCE_KM, location.radius_km * calibration.radius_factor)
    radius_90_km = min(MAX_DISTANCE_KM, location.radius_90_km * calibration.radius_90_factor)
    likely = [guess.country for guess in countries if guess.probability >= calibration.conformal_threshold]
    return PredictionFields(
        countries=tuple(countries[:top_k]),
        country_set=tuple(likely or [first.country]),
        place=location.place,
        radius_km=radius_km,
        # The factors are fitted apart: where nearly all is in one point, the smaller circle may get the larger radius.
        radius_90_km=max(radius_km, radius_90_km),
        places=location.places,
        posterior=posterior,
        area=choose_area(
            countries, location.place, radius_km, landmark, calibration.part_of_world_threshold if abstained else None
        ),
        landmark=landmark,
        abstained=abstained,
        calibrated=calibration.is_calibrated,
    )


def condition(prediction: Prediction, evidence: Evidence, calibration: Calibration) -> Prediction:
    """Condition a prediction on evidence. The model does not run again.

    A box or the surroundings of a city with fewer than ten of the model's places, and the band of a shadow with none,
    are filled with all cities there; each country's probability is divided among its cities by population. A landmark
    stays if it agrees with the evidence.

    Args:
        prediction: The model's own prediction.
        evidence: Statements of a person about the photo, taken as true.
        calibration: Calibration of the model.

    Raises:
        EvidenceError: If no place of the posterior agrees with the evidence.
    """
    posterior = _fill_area(prediction.posterior, evidence)
    conditioned = posterior.condition(evidence)
    probability_of_evidence = posterior.probability_of(evidence)
    landmark = _condition_landmark(prediction.landmark, evidence, probability_of_evidence)
    countries = [CountryGuess(code, probability) for code, probability in conditioned.by_country().items()]
    return replace(
        prediction,
        **build_prediction_fields(countries, conditioned, calibration, len(countries), landmark),
        evidence=evidence,
        evidence_probability=probability_of_evidence,
    )


def _condition_landmark(
    landmark: PlaceGuess | None, evidence: Evidence, probability_of_evidence: float
) -> PlaceGuess | None:
    """Return the landmark with its probability given the evidence, or None if the evidence excludes it."""
    if landmark is None:
        return None
    lat_deg, lon_deg, country = np.array([landmark.lat_deg]), np.array([landmark.lon_deg]), np.array([landmark.country])
    if not evidence.contains(lat_deg, lon_deg, country)[0]:
        return None
    return replace(landmark, probability=min(1.0, landmark.probability / probability_of_evidence))


def _fill_area(posterior: WeightedPlaces, evidence: Evidence) -> WeightedPlaces:
    """Return all cities instead of the posterior's places where too few of these lie in the named area.

    The band of a shadow is large: a single place in it is enough to keep what the model says of its places.
    """
    if evidence.box is None and evidence.near is None and evidence.shadow is None:
        return posterior
    least = 1 if evidence.box is None and evidence.near is None else _MIN_PLACES_IN_AREA
    if evidence.contains(posterior.lat_deg, posterior.lon_deg, posterior.countries).sum() >= least:
        return posterior
    cities = city_places(posterior.by_country())
    return cities if cities.probability_of(evidence) > 0 else posterior
