"""Unit vectors on the sphere, and the best single point of a weighted set (geometric median, GeoScore mode)."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triovision.geo.distances import EARTH_RADIUS_KM, GEO_SCORE_SCALE_KM
from triovision.geo.equal_area import grid

Floats = NDArray[np.float64]
Objective = Literal["distance", "geo_score"]
"""What the best point does: minimise the expected great-circle distance, or maximise the expected GeoScore."""

_COARSE_KM: Final = 1000.0  # cells of the search for starts: some 500 on Earth
_STARTS: Final = 4
_SHARED_STEPS: Final = 12  # of all starts, on the coarse set, before the best of them goes on alone
_STEPS: Final = 80
_STRIDE: Final = 1.6  # a step below twice Weiszfeld's own goes down too, and fewer do
_NEAREST: Final = 16
_SAME: Final = 1e-7  # radians, 0.6 m: below this the arc cosine cannot tell two points apart
_STILL: Final = 1e-6  # radians, 6 m


def unit_vectors(lat_deg: ArrayLike, lon_deg: ArrayLike) -> Floats:
    """Points of the unit sphere, shape `(..., 3)`, for latitudes and longitudes in degrees."""
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def position_deg(vector: Floats) -> tuple[float, float]:
    """`(lat_deg, lon_deg)` of a vector of shape `(3,)` and any length but zero."""
    x, y, z = vector
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def angles(from_xyz: Floats, to_xyz: Floats) -> Floats:
    """Angles in radians, shape `(m, n)`, between unit vectors `(m, 3)` and `(n, 3)`; good to 1e-7 (0.6 m on Earth)."""
    # Not `@`: the threads of BLAS wait in a busy loop, which makes the next pass of a network three times as slow.
    cosine: Floats = np.einsum("ik,jk->ij", from_xyz, to_xyz)
    return np.arccos(np.clip(cosine, -1, 1, out=cosine), out=cosine)


def expected_cost(at_xyz: Floats, xyz: Floats, weight: Floats, objective: Objective = "distance") -> Floats:
    """Expectation, shape `(m,)`, of what the objective keeps small, for guesses `(m, 3)` at points `(n, 3)`.

    Radians for the distance; the GeoScore as a share of its best, negative, for the score.
    """
    angle = angles(at_xyz, xyz)
    cost: Floats = np.einsum("ij,j->i", angle if objective == "distance" else -_score(angle), weight)
    return cost


def coarse(xyz: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """A smaller set, one mean point for each cell of some 1,000 km: `(k, 3)` and the cells' weights `(k,)`.

    A set that has no more points than there are cells stays as it is.
    """
    cells = grid(_COARSE_KM)
    if len(xyz) <= cells.n_cells:
        return xyz, weight
    of_point = cells.cell_of_height(xyz[:, 2], np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])))
    total = np.bincount(of_point, weight)
    held = np.flatnonzero(total)
    sums = np.array([np.bincount(of_point, weight * axis)[held] for axis in xyz.T], np.float64).T
    return sums / np.linalg.norm(sums, axis=1, keepdims=True), np.asarray(total[held], np.float64)


def best_point(xyz: Floats, weight: Floats, objective: Objective = "distance") -> Floats:
    """The point of the sphere that serves a weighted set best: its geometric median, or its mode seen by the GeoScore.

    Weiszfeld's step in the tangent plane ("The geometric median on Riemannian manifolds", Fletcher et al., 2009), with
    Vardi and Zhang's rule at a point of the set ("The multivariate L1-median", 2000). On the sphere half the squared
    distance never bends up more than in the plane, so that every step makes the expectation smaller or leaves it, from
    anywhere, even when it is lengthened; the score is a concave function of distance, so that the same step with its
    slope as weight makes that greater. Local minima exist only for sets that do not fit into a hemisphere (and for the
    score): the search starts from the best well-separated points of a coarse grid. The expectation has a corner at
    each point of the set, so the nearest of them are tried at last.

    Args:
        xyz: Points as unit vectors, shape `(n, 3)`.
        weight: Their probabilities, shape `(n,)`.
        objective: What the best point does.

    Returns:
        Unit vector of shape `(3,)`.
    """
    xyz, weight = xyz[weight > 0], weight[weight > 0]
    few, held = coarse(xyz, weight)
    at = _starts(few, held, objective)
    for _ in range(_SHARED_STEPS):
        at = _step(at, few, held, objective)
    at = at[[int(np.argmin(expected_cost(at, xyz, weight, objective)))]]
    for _ in range(_STEPS):
        moved = _step(at, xyz, weight, objective)
        still = np.abs(moved - at).max() < _STILL
        at = moved
        if still:
            break
    near = np.argsort(-(xyz @ at[0]))[:_NEAREST]
    tried = np.concatenate([at, xyz[near]])
    return np.asarray(tried[int(np.argmin(expected_cost(tried, xyz, weight, objective)))])


def _starts(xyz: Floats, weight: Floats, objective: Objective) -> Floats:
    """The best few points of a coarse grid and of a coarse set, none within two cells of a better one."""
    tried = np.concatenate([xyz, grid(_COARSE_KM).centres_xyz])
    cost = expected_cost(tried, xyz, weight, objective)
    taken: list[int] = []
    for _ in range(_STARTS):
        taken.append(int(np.argmin(cost)))
        cost[tried @ tried[taken[-1]] > np.cos(2 * _COARSE_KM / EARTH_RADIUS_KM)] = np.inf
    return tried[taken]


def _step(at: Floats, xyz: Floats, weight: Floats, objective: Objective) -> Floats:
    """One step of Weiszfeld from each of `at`, shape `(k, 3)`."""
    cosine = np.clip(at @ xyz.T, -1, 1)
    angle = np.arccos(cosine)
    slope = weight if objective == "distance" else weight * _score(angle)
    apart = angle > _SAME
    sine = np.where(apart, np.sqrt(np.maximum(1 - cosine**2, _SAME**2)), 1)
    pull = np.where(apart, slope, 0)
    towards = (pull / sine) @ xyz
    towards -= (towards * at).sum(axis=1, keepdims=True) * at
    force = np.linalg.norm(towards, axis=1)
    own = np.where(apart, 0, slope).sum(axis=1)
    share = np.where(force > own, 1 - own / np.maximum(force, 1e-300), 0)
    length = share / np.maximum((pull / np.where(apart, angle, 1)).sum(axis=1), 1e-300)
    return _walk(at, towards * (_STRIDE * length)[:, None])


def _walk(at: Floats, tangent: Floats) -> Floats:
    """Where great circles lead that start along tangent vectors and are as long as these."""
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    there = np.cos(length) * at + np.sinc(length / np.pi) * tangent
    return np.asarray(there / np.linalg.norm(there, axis=1, keepdims=True))


def _score(angle: Floats) -> Floats:
    return np.asarray(np.exp(angle * (-EARTH_RADIUS_KM / GEO_SCORE_SCALE_KM)))
