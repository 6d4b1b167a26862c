"""Positions of a regressor with the metadata of candidate cities, and the scale of its evidence."""

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
#: Candidates of the scale of `evidence_probability`, in km.
SCALES_KM = (25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0)
_BATCH_SIZE = 64


@dataclass(frozen=True, slots=True, eq=False)
class CandidatePositions:
    """Predicted positions: latitude and longitude in degrees.

    Attributes:
        by_scale: Positions with the regressor at each of `SCALES_KM`, shape `(n_scales, n, 2)`.
        countries_alone: Positions from the country probabilities alone, shape `(n, 2)`.
    """

    by_scale: Floats
    countries_alone: Floats


def predict_positions(
    regressor: Regressor,
    features: NDArray[np.float32],
    probability: Floats,
    cities: CityQueries,
    candidates: Candidates,
) -> CandidatePositions:
    """Predict positions with the metadata of candidate cities.

    The prediction is the point of a candidate city with the smallest expected distance to all weighted points.

    Args:
        regressor: See `Regressor`.
        features: Image features, shape `(n, n_features)`.
        probability: Probability of each country of `cities`, shape `(n, n_countries)`.
        cities: Candidate cities.
        candidates: Number of countries.
    """
    selected = [cities.select(row, candidates.countries) for row in probability]
    with_photo = np.empty((len(SCALES_KM), len(features), 2))
    alone = np.empty((len(features), 2))
    for i, positions in enumerate(_regressed(regressor, features, selected, cities)):
        rows, row_probability = selected[i], probability[i]
        lat_deg, lon_deg = positions.T
        weights = np.stack([cities.weights(row_probability, rows, lat_deg, lon_deg, scale) for scale in SCALES_KM])
        with_photo[:, i] = _best_points(*cities.points(rows, lat_deg, lon_deg), weights, rows)
        # Without positions, the cities of a country are weighted by population.
        prior = cities.weights(row_probability, rows[:0], lat_deg[:0], lon_deg[:0], 1.0)[None]
        alone[i] = _best_points(cities.cities.lat_deg, cities.cities.lon_deg, prior, rows)[0]
    return CandidatePositions(with_photo, alone)


def cross_fitted(error_km: Floats, half: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Index of the scale for each photo: the one with the smallest median error on the other half of the places.

    Args:
        error_km: Error with each scale, shape `(n_scales, n)`.
        half: Half of the places that each photo belongs to, shape `(n,)`. If one half is empty, the scale is chosen
            on all photos.
    """
    chosen = np.empty(len(half), np.intp)
    for value in (True, False):
        other = half != value
        chosen[half == value] = best_scale(error_km[:, other if other.any() else ~other])
    return chosen


def best_scale(error_km: Floats) -> int:
    """Index of the scale with the smallest median error; the first of equal ones."""
    return int(np.argmin(np.median(error_km, axis=1)))


def _regressed(
    regressor: Regressor, features: NDArray[np.float32], selected: list[NDArray[np.intp]], cities: CityQueries
) -> Iterator[Floats]:
    """Positions for the candidate cities of each photo, `(n_cities, 2)`, computed in batches of photos."""
    for start in range(0, len(selected), _BATCH_SIZE):
        batch = selected[start : start + _BATCH_SIZE]
        photo = np.repeat(np.arange(start, start + len(batch)), [len(rows) for rows in batch])
        positions = regressor.positions(features[photo], cities.metadata[np.concatenate(batch)])
        yield from np.split(positions, np.cumsum([len(rows) for rows in batch])[:-1])


def _best_points(lat_deg: Floats, lon_deg: Floats, weights: Floats, among: NDArray[np.intp]) -> Floats:
    """For each row of `weights`, the point of `among` with the smallest expected distance, shape `(n_weights, 2)`."""
    away_km = distance_km(lat_deg[among, None], lon_deg[among, None], lat_deg, lon_deg)
    best = among[np.argmin(away_km @ weights.T, axis=0)]
    return np.column_stack([lat_deg[best], lon_deg[best]])
