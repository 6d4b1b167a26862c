"""From a posterior over places to what a prediction says, alone or given what a person knows."""

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

_PLACES: Final = 20
_FEW: Final = 10
_FARTHEST_KM: Final = pi * EARTH_RADIUS_KM


class Answer(TypedDict):
    """The fields of a `Prediction` that follow from probabilities of countries and places."""

    countries: tuple[CountryGuess, ...]
    country_set: tuple[str, ...]
    place: PlaceGuess
    radius_km: float
    radius_90_km: float
    places: tuple[PlaceGuess, ...]
    posterior: WeightedPlaces
    abstained: bool


def check_top_k(top_k: int) -> None:
    """ValueError unless at least one country is asked for."""
    if top_k < 1:
        raise ValueError(f"`top_k` must be at least 1, got {top_k}")


def ranked(labels: Sequence[str], probability: NDArray[np.float64]) -> list[CountryGuess]:
    """All countries, the most probable first, those of equal probability in the order of the labels.

    Args:
        labels: Countries.
        probability: Of each, shape `(n_labels,)`.
    """
    return [CountryGuess(labels[i], float(probability[i])) for i in np.argsort(-probability, kind="stable")]


def answer(
    countries: Sequence[CountryGuess], posterior: WeightedPlaces, calibration: Calibration, top_k: int
) -> Answer:
    """What to say of a photo.

    Args:
        countries: All countries, the most probable first; the best place will lie in the first one.
        posterior: Places; summed by country they give `countries`.
        calibration: Of the model.
        top_k: Countries to name, at most.
    """
    first = countries[0]
    located = posterior.locate(first.country, _PLACES)
    likely = [guess.country for guess in countries if guess.probability >= calibration.conformal_threshold]
    return Answer(
        countries=tuple(countries[:top_k]),
        country_set=tuple(likely or [first.country]),
        place=located.place,
        radius_km=min(_FARTHEST_KM, located.radius_km * calibration.radius_factor),
        radius_90_km=min(_FARTHEST_KM, located.radius_90_km * calibration.radius_90_factor),
        places=located.places,
        posterior=posterior,
        abstained=first.probability < calibration.abstention_threshold,
    )


def given(prediction: Prediction, evidence: Evidence, calibration: Calibration) -> Prediction:
    """The prediction that takes what a person says as true. The model is not asked again.

    Where an area is named that holds fewer than ten of the places that the model considers, all cities there stand in
    for them, each country's probability shared by population.

    Args:
        prediction: The model's own answer.
        evidence: What the person says.
        calibration: Of the model.

    Raises:
        EvidenceError: If nothing that the model considers possible agrees.
    """
    posterior = _fine_enough(prediction.posterior, evidence)
    left = posterior.condition(evidence)
    countries = [CountryGuess(code, share) for code, share in left.by_country().items()]
    return replace(
        prediction,
        **answer(countries, left, calibration, len(countries)),
        evidence=evidence,
        evidence_probability=posterior.probability_of(evidence),
    )


def _fine_enough(posterior: WeightedPlaces, evidence: Evidence) -> WeightedPlaces:
    if evidence.box is None and evidence.near is None:
        return posterior
    if evidence.contains(posterior.lat_deg, posterior.lon_deg, posterior.countries).sum() >= _FEW:
        return posterior
    cities = city_places(posterior.by_country())
    return cities if cities.probability_of(evidence) > 0 else posterior
