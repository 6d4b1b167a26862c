"""Parts of the world: the subregions of the UN M49 standard, and Antarctica."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from triovision.geo.countries import territory_name
from triovision.guesses import CountryGuess

#: Countries (ISO 3166-1 alpha-2) of each part by its M49 code. The standard has no Kosovo and no Taiwan: these are
#: where CLDR puts them. Antarctica has its country code.
PARTS_OF_WORLD: Final = {
    "015": "DZ EG EH LY MA SD TN",
    "011": "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG",
    "017": "AO CD CF CG CM GA GQ ST TD",
    "014": "BI DJ ER ET IO KE KM MG MU MW MZ RE RW SC SO SS TF TZ UG YT ZM ZW",
    "018": "BW LS NA SZ ZA",
    "021": "BM CA GL PM US",
    "013": "BZ CR GT HN MX NI PA SV",
    "029": "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI",
    "005": "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE",
    "154": "AX DK EE FI FO GB GG IE IM IS JE LT LV NO SE SJ",
    "155": "AT BE CH DE FR LI LU MC NL",
    "039": "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA XK",
    "151": "BG BY CZ HU MD PL RO RU SK UA",
    "143": "KG KZ TJ TM UZ",
    "030": "CN HK JP KP KR MN MO TW",
    "035": "BN ID KH LA MM MY PH SG TH TL VN",
    "034": "AF BD BT IN IR LK MV NP PK",
    "145": "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE",
    "053": "AU CC CX HM NF NZ",
    "054": "FJ NC PG SB VU",
    "057": "FM GU KI MH MP NR PW UM",
    "061": "AS CK NU PF PN TK TO TV WF WS",
    "AQ": "AQ",
}
_PART: Final = {country: part for part, countries in PARTS_OF_WORLD.items() for country in countries.split()}


def part_of_world(country: str) -> str:
    """Code of the part of the world that a country lies in, a key of `PARTS_OF_WORLD`.

    Args:
        country: ISO 3166-1 alpha-2 code.

    Raises:
        KeyError: If there is no such country.
    """
    return _PART[country]


def part_of_world_name(part: str, language: str = "en") -> str:
    """Name of a part of the world for the screen, such as "Eastern Asia" (Unicode CLDR).

    Args:
        part: A key of `PARTS_OF_WORLD`.
        language: Language tag such as `"fr"`; an unknown one reads as English.
    """
    return territory_name(part, language)


def most_probable_part(countries: Iterable[CountryGuess]) -> tuple[str, float]:
    """Part of the world with the highest summed probability, and that sum.

    Args:
        countries: Guesses of at least one country.

    Raises:
        KeyError: If a guess names no country.
    """
    total: defaultdict[str, float] = defaultdict(float)
    for guess in countries:
        total[part_of_world(guess.country)] += guess.probability
    part = max(total, key=total.__getitem__)
    return part, min(1.0, total[part])
