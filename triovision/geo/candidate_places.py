"""Posterior over cities for models that predict countries only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triovision.geo.cities import SPACING_KM, Cities, all_cities, candidate_cities
from triovision.geo.posterior import WeightedPlaces, check_weights

PER_COUNTRY: Final = 10


class CandidatePlaces:
    """The largest cities of a fixed set of countries; turns country probabilities into a posterior over places.

    Each country's probability is shared among its cities in proportion to their population.

    Args:
        countries: Distinct ISO 3166-1 alpha-2 codes, in the order of the model's labels.
        per_country: Most cities to take of one country.

    Raises:
        ValueError: A country is repeated or has no known place.
    """

    def __init__(self, countries: Sequence[str], per_country: int = PER_COUNTRY) -> None:
        self.countries = tuple(countries)
        self.cities = candidate_cities(self.countries, per_country)
        index = {country: i for i, country in enumerate(self.countries)}
        self._codes = np.array(self.cities.countries)
        self._country_index = np.array([index[country] for country in self.cities.countries], np.intp)
        self._share = _shares(self.cities, self._country_index)

    def weighted(self, country_probability: NDArray[np.floating]) -> WeightedPlaces:
        """Posterior whose marginal by country is the argument.

        Args:
            country_probability: Probability of each of `countries`, shape `(n_countries,)`.

        Raises:
            ValueError: Wrong shape, or no probabilities that sum to one.
        """
        probability = check_weights(country_probability)
        if len(probability) != len(self.countries):
            raise ValueError(f"`country_probability` must hold {len(self.countries)} values, got {len(probability)}")
        return _places(self.cities, self._codes, probability[self._country_index] * self._share)


def city_places(country_probability: Mapping[str, float]) -> WeightedPlaces:
    """Posterior over all cities of 15,000 inhabitants or more, for areas too small for a model's own places.

    Args:
        country_probability: Probability of each country (ISO 3166-1 alpha-2), summing to one; a country without a
            known place is dropped.

    Raises:
        ValueError: If the remaining countries have no probability.
    """
    cities = all_cities(list(country_probability))
    codes = np.array(cities.countries)
    known, index = np.unique(codes, return_inverse=True)
    probability = np.array([country_probability[str(country)] for country in known])
    weight = probability[index] * _shares(cities, index)
    return _places(cities, codes, weight / weight.sum())


def _shares(cities: Cities, country_index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Fraction of its country's population that each city has."""
    # A place without a census counts as one inhabitant.
    population = np.maximum(cities.population, 1)
    return np.asarray(population / np.bincount(country_index, population)[country_index])


def _places(cities: Cities, codes: NDArray[np.str_], weight: NDArray[np.float64]) -> WeightedPlaces:
    return WeightedPlaces(
        lat_deg=cities.lat_deg,
        lon_deg=cities.lon_deg,
        weight=weight,
        countries=codes,
        names=cities.names,
        resolution_km=SPACING_KM,  # a city stands for everything within this distance
    )
