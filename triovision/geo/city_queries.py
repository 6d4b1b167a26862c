"""Candidate cities that the position regressor is queried with, and the posterior made of its answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triovision.geo.cities import SPACING_KM, candidate_cities
from triovision.geo.city_metadata import city_metadata, nearest_city_names
from triovision.geo.distances import distance_km
from triovision.geo.posterior import WeightedPlaces, check_weights

Floats = NDArray[np.float64]


class CityQueries:
    """Candidate cities of a fixed set of countries, with their metadata computed once for all photos.

    The regressor takes a city's metadata beside the photo. It is queried with the cities of the most probable
    countries, and each answer is a point on Earth. An answer weighs more the nearer it lies to its own city, because
    the regressor was trained on photos with their true cities. All other cities enter the posterior as they are.

    Attributes:
        cities: The candidates, grouped by country.
        country_index: Number of each city's country, shape `(n_cities,)`.
        metadata: `city_metadata` of the cities, shape `(n_cities, m)`.

    Args:
        countries: Distinct ISO 3166-1 alpha-2 codes, in the order of the classifier's labels.
        per_country: Most cities to take of one country; each country has at least one.

    Raises:
        ValueError: A country is repeated or has no known place.
    """

    def __init__(self, countries: Sequence[str], per_country: int = 10) -> None:
        self.cities = candidate_cities(countries, per_country)
        index = {country: i for i, country in enumerate(countries)}
        self.country_index = np.array([index[country] for country in self.cities.countries], np.intp)
        self.metadata = city_metadata(self.cities)
        self._codes = np.array(self.cities.countries)
        self._n_countries = len(countries)

    def select(self, country_probability: NDArray[np.floating], n_countries: int) -> NDArray[np.intp]:
        """Select the cities of the most probable countries, to query the regressor with.

        Args:
            country_probability: Probability of each country, shape `(n_countries,)`.
            n_countries: Number of countries; all of them when there are fewer.

        Returns:
            Rows of `cities`, ascending.
        """
        most_probable = np.argsort(-np.asarray(country_probability), kind="stable")[:n_countries]
        return np.flatnonzero(np.isin(self.country_index, most_probable))

    def points(
        self, queried: NDArray[np.intp], lat_deg: NDArray[np.floating], lon_deg: NDArray[np.floating]
    ) -> tuple[Floats, Floats]:
        """Positions of the weighted set: the regressor's answers, and the cities that it was not queried with.

        Args:
            queried: Rows of `cities`; see `select`.
            lat_deg: Latitude of the answer for each of them, shape `(n_queried,)`.
            lon_deg: Its longitude.

        Returns:
            Latitudes and longitudes in degrees, shape `(n_cities,)` each.
        """
        lats, lons = self.cities.lat_deg.copy(), self.cities.lon_deg.copy()
        lats[queried], lons[queried] = lat_deg, lon_deg
        return lats, lons

    def weights(
        self,
        country_probability: NDArray[np.floating],
        queried: NDArray[np.intp],
        lat_deg: NDArray[np.floating],
        lon_deg: NDArray[np.floating],
        scale_km: float,
    ) -> Floats:
        """Probability of each point; summed by country it is the classifier's.

        An answer at distance d from its own city weighs exp(-d / scale) of its country's probability, divided by the
        sum of these over the country's cities. The cities of the other countries share theirs by population.

        Args:
            country_probability: Probability of each country, shape `(n_countries,)`.
            queried: Rows of `cities`; see `select`.
            lat_deg: Latitude of the answer for each of them, shape `(n_queried,)`.
            lon_deg: Its longitude.
            scale_km: Distance at which an answer weighs 1/e of one that is right on its city.

        Returns:
            Shape `(n_cities,)`.

        Raises:
            ValueError: Wrong shape, no probabilities that sum to one, or a scale that is not positive.
        """
        probability = check_weights(country_probability)
        if len(probability) != self._n_countries:
            raise ValueError(f"`country_probability` must hold {self._n_countries} values, got {len(probability)}")
        if not scale_km > 0:
            raise ValueError(f"`scale_km` must be positive, got {scale_km}")
        cities = self.cities
        # In logarithms, because far answers would all weigh nothing. A place without a census takes part too.
        log_share = np.log(np.maximum(cities.population, 1))
        log_share[queried] = -distance_km(cities.lat_deg[queried], cities.lon_deg[queried], lat_deg, lon_deg) / scale_km
        highest = np.full(self._n_countries, -np.inf)
        np.maximum.at(highest, self.country_index, log_share)
        share = np.exp(log_share - highest[self.country_index])
        share /= np.bincount(self.country_index, share)[self.country_index]
        return np.asarray(probability[self.country_index] * share)

    def places(
        self,
        country_probability: NDArray[np.floating],
        queried: NDArray[np.intp],
        lat_deg: NDArray[np.floating],
        lon_deg: NDArray[np.floating],
        scale_km: float,
    ) -> WeightedPlaces:
        """Posterior made of `points` and `weights`, which take the same arguments.

        An answer has the country of the city that it was queried with, and the name of that country's city nearest to
        it.
        """
        names = list(self.cities.names)
        answers = nearest_city_names(lat_deg, lon_deg, self._codes[queried].tolist())
        for row, name in zip(queried.tolist(), answers, strict=True):
            names[row] = name
        lats, lons = self.points(queried, lat_deg, lon_deg)
        return WeightedPlaces(
            lat_deg=lats,
            lon_deg=lons,
            weight=self.weights(country_probability, queried, lat_deg, lon_deg, scale_km),
            countries=self._codes,
            names=names,
            resolution_km=SPACING_KM,  # a city stands for everything within this distance
        )
