"""Positions of photos whose city nobody knows: what the app can say, and how its one number is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triovision.geo import distance_km
from triovision.geo.city_queries import CityQueries
from triovision.inference.regressor import Regressor
from triovision.train.recipes.position_recipe import Candidates

Floats = NDArray[np.float64]
#: Scales of the evidence_probability to choose from, in km.
SCALES_KM = (25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0)
_PHOTOS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Guesses:
    """Positions of some photos, latitude and longitude in degrees.

    Attributes:
        by_scale: With the regressor, for each of `SCALES_KM`, shape `(n_scales, n, 2)`.
        countries_alone: Without it, shape `(n, 2)`.
    """

    by_scale: Floats
    countries_alone: Floats


def guess(
    regressor: Regressor,
    features: NDArray[np.float32],
    probability: Floats,
    cities: CityQueries,
    candidates: Candidates,
) -> Guesses:
    """Ask a regressor about candidate cities and answer with the best point of each weighted set.

    The best point is, of those that belong to the most probable countries, the one with the least expected distance
    to the whole set.

    Args:
        regressor: See `Regressor`.
        features: Image features, shape `(n, n_features)`.
        probability: Probability of each of the cities' countries, shape `(n, n_countries)`.
        cities: Candidate cities.
        candidates: How many countries are asked about.
    """
    asked = [cities.select(row, candidates.countries) for row in probability]
    with_photo = np.empty((len(SCALES_KM), len(features), 2))
    alone = np.empty((len(features), 2))
    for number, answers in enumerate(_answers(regressor, features, asked, cities)):
        mine, row = asked[number], probability[number]
        lat_deg, lon_deg = answers.T
        weights = np.stack([cities.weights(row, mine, lat_deg, lon_deg, scale) for scale in SCALES_KM])
        with_photo[:, number] = _best_points(*cities.points(mine, lat_deg, lon_deg), weights, mine)
        # Asked about nothing, the cities share by population.
        nothing = cities.weights(row, mine[:0], lat_deg[:0], lon_deg[:0], 1.0)[None]
        alone[number] = _best_points(cities.cities.lat_deg, cities.cities.lon_deg, nothing, mine)[0]
    return Guesses(with_photo, alone)


def cross_fitted(error_km: Floats, half: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Index of the scale for each photo: the one with the smallest median error on the other half of the places.

    Args:
        error_km: Error with each scale, shape `(n_scales, n)`.
        half: Which half each photo's place belongs to, shape `(n,)`. With an empty half, all photos have the scale
            that is best on themselves.
    """
    chosen = np.empty(len(half), np.intp)
    for side in (True, False):
        other = half != side
        chosen[half == side] = best_scale(error_km[:, other if other.any() else ~other])
    return chosen


def best_scale(error_km: Floats) -> int:
    """Index of the scale with the smallest median error; the first of equals."""
    return int(np.argmin(np.median(error_km, axis=1)))


def _answers(
    regressor: Regressor, features: NDArray[np.float32], asked: list[NDArray[np.intp]], cities: CityQueries
) -> Iterator[Floats]:
    """The regressor's positions for the cities of each photo, `(n_asked, 2)`; several photos are asked at once."""
    for start in range(0, len(asked), _PHOTOS):
        some = asked[start : start + _PHOTOS]
        photo = np.repeat(np.arange(start, start + len(some)), [len(rows) for rows in some])
        positions = regressor.positions(features[photo], cities.metadata[np.concatenate(some)])
        yield from np.split(positions, np.cumsum([len(rows) for rows in some])[:-1])


def _best_points(lat_deg: Floats, lon_deg: Floats, weights: Floats, among: NDArray[np.intp]) -> Floats:
    """For each row of `weights`, the point of `among` with the least expected distance, shape `(n_weights, 2)`."""
    away_km = distance_km(lat_deg[among, None], lon_deg[among, None], lat_deg, lon_deg)
    best = among[np.argmin(away_km @ weights.T, axis=0)]
    return np.column_stack([lat_deg[best], lon_deg[best]])
