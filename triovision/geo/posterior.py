"""Posterior over places: weighted points on the sphere, with best point, radii, marginals and conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triovision.errors import EvidenceError, Message
from triovision.geo.density import Density, density
from triovision.geo.distances import distance_km
from triovision.geo.evidence import Evidence
from triovision.geo.sphere import Objective, best_point, coarse, expected_cost, position_deg, unit_vectors
from triovision.guesses import PlaceGuess

# Far above the rounding of a float32 softmax over hundreds of labels, far below any real mistake.
_TOLERANCE: Final = 1e-4
_HEAVIEST: Final = 500
_MOST_PROBABLE: Final = 1000
_FINALISTS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Summary of a posterior.

    Attributes:
        place: Best single place.
        radius_km: Radius around `place` that holds half of the probability.
        radius_90_km: Radius around `place` that holds 90 % of it.
        places: Most probable places, descending.
    """

    place: PlaceGuess
    radius_km: float
    radius_90_km: float
    places: tuple[PlaceGuess, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedPlaces:
    """Points on the sphere, each with its probability of being where a photo was taken.

    Attributes:
        lat_deg: Latitudes in degrees WGS 84, shape `(n,)`.
        lon_deg: Longitudes in degrees WGS 84, shape `(n,)`.
        weight: Probabilities, shape `(n,)`.
        countries: ISO 3166-1 alpha-2 code of each point, shape `(n,)`.
        names: Name of each point, or empty where points have no names.
        resolution_km: Each point stands for everything within this distance; no radius around it is smaller. One
            number, or one for each point, shape `(n,)`.

    Raises:
        ValueError: If shapes differ, a point lies nowhere, or the weights are no probabilities that sum to one.
    """

    lat_deg: NDArray[np.float64]
    lon_deg: NDArray[np.float64]
    weight: NDArray[np.float64]
    countries: NDArray[np.str_]
    names: Sequence[str] = ()
    resolution_km: float | NDArray[np.float64] = 0.0

    def __post_init__(self) -> None:
        """Check that this is a distribution over places."""
        check_weights(self.weight)
        n = len(self.weight)
        if not self.lat_deg.shape == self.lon_deg.shape == self.countries.shape == (n,) or len(self.names) not in (
            0,
            n,
        ):
            raise ValueError(f"`lat_deg`, `lon_deg`, `countries` and `names` must hold {n} values, as `weight` does")
        # A comparison with NaN is false, so that NaN is refused too.
        if not ((np.abs(self.lat_deg) <= 90).all() and (np.abs(self.lon_deg) <= 180).all()):
            raise ValueError("`lat_deg`, `lon_deg` must lie within ±90 and ±180")
        if np.shape(self.resolution_km) not in ((), (n,)):
            raise ValueError(f"`resolution_km` must be one number or {n}")

    @cached_property
    def country_index(self) -> tuple[NDArray[np.str_], NDArray[np.intp]]:
        """The different countries, in alphabetical order, and the number of each point's among them, shape `(n,)`."""
        return np.unique(self.countries, return_inverse=True)

    def by_country(self) -> dict[str, float]:
        """Probability of each country that has a point, the most probable first."""
        codes, index = self.country_index
        total = np.bincount(index, self.weight, len(codes))
        return {str(codes[i]): float(total[i]) for i in np.argsort(-total, kind="stable")}

    def best_point(self, objective: Objective = "distance") -> tuple[float, float]:
        """The position on Earth, seldom one of the points, that serves the whole set best.

        Args:
            objective: `"distance"`: least expected great-circle distance (the geometric median on the sphere);
                `"geo_score"`: greatest expected GeoScore, which stays with the likeliest of several clusters.

        Returns:
            `(lat_deg, lon_deg)`.
        """
        return position_deg(best_point(self._xyz, self.weight, objective))

    def best_place(self, country: str | None = None, objective: Objective = "distance") -> int:
        """Index of the point that serves the whole set best, among the 500 most probable (of one country).

        Of more than 32, those are compared that serve the set best when it is reduced to cells some 1,000 km wide.

        Args:
            country: Consider its points only; all of the set still counts.
            objective: As for `best_point`.

        Raises:
            ValueError: If the country has no point.
        """
        among = np.arange(len(self.weight)) if country is None else np.flatnonzero(self.countries == country)
        if len(among) == 0:
            raise ValueError(f"no point lies in {country!r}")
        if len(among) > _HEAVIEST:
            among = among[np.argsort(-self.weight[among], kind="stable")[:_HEAVIEST]]
        if len(among) > _FINALISTS:
            cost = expected_cost(self._xyz[among], *coarse(self._xyz, self.weight), objective)
            among = among[np.argsort(cost, kind="stable")[:_FINALISTS]]
        cost = expected_cost(self._xyz[among], self._xyz, self.weight, objective)
        return int(among[np.argmin(cost)])

    def expected_distance_km(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.float64]:
        """Expected great-circle distance from each position, shape `(m,)`, to where the photo was taken."""
        at_lat, at_lon = np.atleast_1d(lat_deg)[:, None], np.atleast_1d(lon_deg)[:, None]
        return distance_km(at_lat, at_lon, self.lat_deg, self.lon_deg) @ self.weight

    def radius_holding_km(self, lat_deg: float, lon_deg: float, fraction: float = 0.5) -> float:
        """Smallest radius around a position that holds a fraction of the probability.

        It is never below the `resolution_km` of the nearest point.

        Raises:
            ValueError: If the fraction is outside (0, 1].
        """
        around_km = distance_km(lat_deg, lon_deg, self.lat_deg, self.lon_deg)
        nearest_km = float(self._resolution_km[np.argmin(around_km)])
        return max(nearest_km, radius_holding_km(around_km, self.weight, fraction))

    def density(self, width_km: float = 200.0) -> Density:
        """Probability of cells of equal area, smoothed with a kernel of that width; see `triovision.geo.density`."""
        return density(self._xyz, self.weight, width_km)

    def probability_of(self, evidence: Evidence) -> float:
        """Probability of the evidence under this posterior."""
        return min(1.0, float(self.weight[evidence.contains(self.lat_deg, self.lon_deg, self.countries)].sum()))

    def condition(self, evidence: Evidence) -> WeightedPlaces:
        """Condition on evidence: keep the points that agree, and scale their weights to sum to one (Bayes' rule).

        Raises:
            EvidenceError: If no point with a probability agrees.
        """
        agrees = evidence.contains(self.lat_deg, self.lon_deg, self.countries) & (self.weight > 0)
        if not agrees.any():
            reason = Message("no place that the model considers agrees with it")
            raise EvidenceError(str(evidence), reason, Message("Give less evidence, or a larger box"))
        return replace(
            self,
            lat_deg=self.lat_deg[agrees],
            lon_deg=self.lon_deg[agrees],
            weight=self.weight[agrees] / self.weight[agrees].sum(),
            countries=self.countries[agrees],
            names=[name for name, kept in zip(self.names, agrees.tolist(), strict=True) if kept] if self.names else (),
            resolution_km=self._resolution_km[agrees],
        )

    def locate(self, country: str | None, top_places: int) -> Location:
        """The best place, its radii, and the most probable places anywhere.

        The best place is the point with the greatest expected GeoScore: it stays with the likeliest of several
        clusters, while the point of least expected distance lies between them.

        Args:
            country: Where the best place is to lie: the most probable country, so that place and country agree when
                they are read together; None for anywhere. All weighted points on Earth count for which is best.
            top_places: How many places to return at most.

        Raises:
            ValueError: If the country has no point.
        """
        among = np.argsort(-self.weight, kind="stable")[:_MOST_PROBABLE]
        best = self.best_place(country, "geo_score")
        place = self._guess(best, self._around(best, among))
        return Location(
            place=place,
            radius_km=self.radius_holding_km(place.lat_deg, place.lon_deg, 0.5),
            radius_90_km=self.radius_holding_km(place.lat_deg, place.lon_deg, 0.9),
            places=self._places(among, top_places),
        )

    def _places(self, among: NDArray[np.intp], most: int) -> tuple[PlaceGuess, ...]:
        """The most probable places among some points, the most probable first.

        A point has the probability of all of its country within `resolution_km` that no more probable one has taken.
        """
        places: list[PlaceGuess] = []
        left = among
        while len(left) and len(places) < most:
            around = self._around(int(left[0]), left)
            places.append(self._guess(int(left[0]), around))
            left = left[~np.isin(left, around)]
        return tuple(sorted(places, key=lambda place: -place.probability))

    def _around(self, centre: int, among: NDArray[np.intp]) -> NDArray[np.intp]:
        """Points of the centre's country for which it stands, itself always."""
        of_country = among[self.countries[among] == self.countries[centre]]
        lat_deg, lon_deg = self.lat_deg[of_country], self.lon_deg[of_country]
        to_centre_km = distance_km(self.lat_deg[centre], self.lon_deg[centre], lat_deg, lon_deg)
        return np.union1d(of_country[to_centre_km < self._resolution_km[centre]], [centre]).astype(np.intp)

    def _guess(self, i: int, around: NDArray[np.intp]) -> PlaceGuess:
        return PlaceGuess(
            name=self.names[i] if self.names else "",
            country=str(self.countries[i]),
            lat_deg=float(self.lat_deg[i]),
            lon_deg=float(self.lon_deg[i]),
            probability=float(self.weight[around].sum()),
        )

    @cached_property
    def _resolution_km(self) -> NDArray[np.float64]:
        return np.broadcast_to(np.asarray(self.resolution_km, np.float64), len(self.weight))

    @cached_property
    def _xyz(self) -> NDArray[np.float64]:
        return unit_vectors(self.lat_deg, self.lon_deg)


def radius_holding_km(distance_km: NDArray[np.floating], weight: NDArray[np.floating], fraction: float = 0.5) -> float:
    """Smallest radius around a centre within which the points hold at least `fraction` of the weight.

    Args:
        distance_km: Distance from the centre to each point, shape `(n_points,)`.
        weight: Probability of each point, shape `(n_points,)`.
        fraction: Part of the weight to hold, in (0, 1].

    Returns:
        Radius in km; 0 when the centre alone holds the fraction.

    Raises:
        ValueError: The weights are no probabilities that sum to one, or `fraction` is outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"`fraction` must lie in (0, 1], got {fraction}")
    order = np.argsort(distance_km, kind="stable")
    held = np.cumsum(check_weights(weight)[order])
    # Relative to the sum, less a rounding error, so that a fraction that is met exactly counts as met.
    nearest = np.searchsorted(held, fraction * held[-1] - 1e-12)
    return float(distance_km[order[nearest]])


def check_weights(weight: NDArray[np.floating]) -> NDArray[np.float64]:
    """The weights as `float64`; ValueError unless they are a vector of probabilities that sum to one."""
    checked = np.asarray(weight, np.float64)
    if checked.ndim != 1:
        raise ValueError(f"weights must have shape (n,), got {checked.shape}")
    if not (checked >= 0).all() or not abs(checked.sum() - 1) <= _TOLERANCE:
        raise ValueError(f"weights must be non-negative and sum to 1; they sum to {checked.sum():g}")
    return checked
