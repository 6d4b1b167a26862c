"""Prediction fields from a place posterior, and predictions conditioned on evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from triovision.geo import EARTH_RADIUS_KM, Evidence, WeightedPlaces, city_places
from triovision.guesses import CountryGuess, PlaceGuess
from triovision.inference.card import Calibration
from triovision.results import Prediction

_MAX_PLACES: Final = 20
_MIN_PLACES_IN_AREA: Final = 10
_MAX_DISTANCE_KM: Final = pi * EARTH_RADIUS_KM


class PredictionFields(TypedDict):
    """Fields of a `Prediction` that depend on the probabilities of countries and places."""

    countries: tuple[CountryGuess, ...]
    country_set: tuple[str, ...]
    place: PlaceGuess
    radius_km: float
    radius_90_km: float
    places: tuple[PlaceGuess, ...]
    posterior: WeightedPlaces
    abstained: bool
    landmark: PlaceGuess | None


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
    """Derive the place, the radii, the country set and the abstention from a posterior.

    Args:
        countries: All countries, most probable first. The best place lies in the first one.
        posterior: Weighted places; their weights sum up to `countries` by country.
        calibration: Calibration of the model.
        top_k: Largest number of countries in the prediction.
        landmark: Landmark that is named; None for none.
    """
    first = countries[0]
    location = posterior.locate(first.country, _MAX_PLACES)
    likely = [guess.country for guess in countries if guess.probability >= calibration.conformal_threshold]
    return PredictionFields(
        countries=tuple(countries[:top_k]),
        country_set=tuple(likely or [first.country]),
        place=location.place,
        radius_km=min(_MAX_DISTANCE_KM, location.radius_km * calibration.radius_factor),
        radius_90_km=min(_MAX_DISTANCE_KM, location.radius_90_km * calibration.radius_90_factor),
        places=location.places,
        posterior=posterior,
        abstained=landmark is None and first.probability < calibration.abstention_threshold,
        landmark=landmark,
    )


def condition(prediction: Prediction, evidence: Evidence, calibration: Calibration) -> Prediction:
    """Condition a prediction on evidence. The model does not run again.

    An area with fewer than ten of the model's places is filled with all cities there; each country's probability is
    divided among its cities by population.

    Args:
        prediction: The model's own prediction.
        evidence: Statements of a person about the photo, taken as true.
        calibration: Calibration of the model.

    Raises:
        EvidenceError: If no place of the posterior agrees with the evidence.
    """
    posterior = _fill_area(prediction.posterior, evidence)
    conditioned = posterior.condition(evidence)
    countries = [CountryGuess(code, probability) for code, probability in conditioned.by_country().items()]
    return replace(
        prediction,
        **build_prediction_fields(countries, conditioned, calibration, len(countries)),
        evidence=evidence,
        evidence_probability=posterior.probability_of(evidence),
    )


def _fill_area(posterior: WeightedPlaces, evidence: Evidence) -> WeightedPlaces:
    """Return all cities instead of the posterior's places where too few of these lie in the named area."""
    if evidence.box is None and evidence.near is None:
        return posterior
    if evidence.contains(posterior.lat_deg, posterior.lon_deg, posterior.countries).sum() >= _MIN_PLACES_IN_AREA:
        return posterior
    cities = city_places(posterior.by_country())
    return cities if cities.probability_of(evidence) > 0 else posterior
