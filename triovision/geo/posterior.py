"""What a weighted set of places says: the best place, how far off it is likely to be, and how wide the doubt is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triovision.geo.cities import SPACING_KM, candidate_cities
from triovision.geo.distances import distance_km
from triovision.results import PlaceGuess

# Far above the rounding of a float32 softmax over hundreds of labels, far below any real mistake.
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacePosterior:
    """Where one photo may have been taken.

    Attributes:
        place: Best single place.
        radius_km: Radius around `place` that holds half of the probability.
        places: Most probable places, descending.
    """

    place: PlaceGuess
    radius_km: float
    places: tuple[PlaceGuess, ...]


class CandidatePlaces:
    """The cities of a fixed set of countries, with their mutual distances worked out once for all photos.

    Each country's probability is shared among its cities in proportion to their population.

    Args:
        countries: Distinct ISO 3166-1 alpha-2 codes, in the order of the model's labels.
        per_country: Most cities to take of one country.

    Raises:
        ValueError: A country is repeated or has no known place.
    """

    def __init__(self, countries: Sequence[str], per_country: int = 10) -> None:
        self.countries = tuple(countries)
        self.cities = candidate_cities(self.countries, per_country)
        index = {country: i for i, country in enumerate(self.countries)}
        self._country_index = np.array([index[country] for country in self.cities.countries], np.intp)
        # A place where nobody counted people still takes its part.
        population = np.maximum(self.cities.population, 1)
        self._share = population / np.bincount(self._country_index, population)[self._country_index]
        lat_deg, lon_deg = self.cities.lat_deg, self.cities.lon_deg
        self._distance_km = distance_km(lat_deg[:, None], lon_deg[:, None], lat_deg, lon_deg)

    def weights(self, country_probability: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability of each city of `cities`; summed by country it gives the argument back.

        Args:
            country_probability: Probability of each of `countries`, shape `(n_countries,)`.

        Returns:
            `float64` of shape `(n_cities,)`.

        Raises:
            ValueError: Wrong shape, or no probabilities that sum to one.
        """
        probability = check_weights(country_probability)
        if len(probability) != len(self.countries):
            raise ValueError(f"`country_probability` must hold {len(self.countries)} values, got {len(probability)}")
        return probability[self._country_index] * self._share

    def locate(self, country_probability: NDArray[np.floating], top_places: int) -> PlacePosterior:
        """The best place for one photo, the radius around it and the most probable places.

        The best place lies in the most probable country, so that the place and the country that are read together
        agree; of that country's cities it is the one with the least expected distance to all weighted cities on Earth.

        Args:
            country_probability: Probability of each of `countries`, shape `(n_countries,)`.
            top_places: How many places to return at most.

        Returns:
            The place, its radius and the most probable places. A city stands for all within `SPACING_KM` of it, so
            the radius is never smaller.

        Raises:
            ValueError: Wrong shape, or no probabilities that sum to one.
        """
        weight = self.weights(country_probability)
        of_best_country = np.flatnonzero(self._country_index == np.argmax(country_probability))
        expected_km = expected_distance_km(self._distance_km[of_best_country], weight)
        best = int(of_best_country[np.argmin(expected_km)])
        most_probable = np.argsort(-weight, kind="stable")[:top_places]
        return PlacePosterior(
            place=self._guess(best, weight),
            radius_km=max(SPACING_KM, radius_holding_km(self._distance_km[best], weight)),
            places=tuple(self._guess(int(i), weight) for i in most_probable),
        )

    def _guess(self, i: int, weight: NDArray[np.float64]) -> PlaceGuess:
        cities = self.cities
        return PlaceGuess(
            name=cities.names[i],
            country=cities.countries[i],
            lat_deg=float(cities.lat_deg[i]),
            lon_deg=float(cities.lon_deg[i]),
            probability=float(weight[i]),
        )


def expected_distance_km(distance_km: NDArray[np.floating], weight: NDArray[np.floating]) -> NDArray[np.float64]:
    """Expected distance from each candidate to a point drawn from the weighted set.

    Args:
        distance_km: Distance from each candidate to each point, shape `(n_candidates, n_points)`.
        weight: Probability of each point, shape `(n_points,)`.

    Returns:
        Expected distance in km, shape `(n_candidates,)`.

    Raises:
        ValueError: The weights are no probabilities that sum to one.
    """
    return np.asarray(distance_km, np.float64) @ check_weights(weight)


def radius_holding_km(distance_km: NDArray[np.floating], weight: NDArray[np.floating], share: float = 0.5) -> float:
    """Smallest radius around a centre within which the points hold at least `share` of the weight.

    Args:
        distance_km: Distance from the centre to each point, shape `(n_points,)`.
        weight: Probability of each point, shape `(n_points,)`.
        share: Part of the weight to hold, in (0, 1].

    Returns:
        Radius in km; 0 when the centre alone holds the share.

    Raises:
        ValueError: The weights are no probabilities that sum to one, or `share` is outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"`share` must lie in (0, 1], got {share}")
    order = np.argsort(distance_km, kind="stable")
    held = np.cumsum(check_weights(weight)[order])
    # Relative to the sum, less a rounding error, so that a share that is met exactly counts as met.
    nearest = np.searchsorted(held, share * held[-1] - 1e-12)
    return float(distance_km[order[nearest]])


def check_weights(weight: NDArray[np.floating]) -> NDArray[np.float64]:
    """The weights as `float64`; ValueError unless they are a vector of probabilities that sum to one."""
    checked = np.asarray(weight, np.float64)
    if checked.ndim != 1:
        raise ValueError(f"weights must have shape (n,), got {checked.shape}")
    if not (checked >= 0).all() or not abs(checked.sum() - 1) <= _TOLERANCE:
        raise ValueError(f"weights must be non-negative and sum to 1; they sum to {checked.sum():g}")
    return checked
