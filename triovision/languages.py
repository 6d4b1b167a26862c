"""Translations: English in the code, gettext catalogues for other languages; numbers and times of each language."""

from __future__ import annotations

import gettext
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO
from typing import IO, Final

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from triovision.bundle import ASSETS
from triovision.errors import Message
from triovision.results import CameraFacts

_CATALOGUES = ASSETS / "translations"
#: Native name of each language by ISO 639-1 code: English, and one for each catalogue.
LANGUAGES = {
    code: str(Locale.parse(code).get_display_name(code)).capitalize()
    for code in ("en", *sorted(path.stem for path in _CATALOGUES.glob("*.po")))
}


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates texts, numbers, sizes and times into one language.

    Attributes:
        language: ISO 639-1 code, one of `LANGUAGES`.
        catalogue: Translations into that language.
    """

    language: str
    catalogue: gettext.NullTranslations

    def __call__(self, msgid: str, /, **values: object) -> str:
        """Translate an English text, with each `{name}` replaced by its value."""
        return self.catalogue.gettext(msgid).format(**values)

    def plural(self, one: str, many: str, /, number: int) -> str:
        """Translate a text in the singular or plural form of `number`, which replaces `{number}`."""
        return self.catalogue.ngettext(one, many, number).format(number=self.number(number))

    def of_card(self, text: str) -> str:
        """Translate a text of a model's card, figures or studies; one that the catalogue lacks stays as it is."""
        return self.catalogue.gettext(text) if text else ""

    def number(self, value: float, digits: int = 0) -> str:
        """Format a number with the separators of the language."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(format_decimal(value, format=pattern, locale=self.language))

    def percent(self, fraction: float, *, tenths: bool = False) -> str:
        """Format a fraction as per cent; see `percent`."""
        return percent(fraction, self.language, tenths=tenths)

    @property
    def percent_format(self) -> str:
        """Format of whole per cent for a slider or a column, in the manner of `printf`."""
        return "%.0f\u202f%%" if self.language == "fr" else "%.0f%%"

    @property
    def date_format(self) -> str:
        """Order of day, month and year in a date field of Streamlit."""
        return "DD/MM/YYYY" if self.language == "fr" else "YYYY-MM-DD"

    def km(self, distance_km: float) -> str:
        """Format kilometres with their unit, below 10 km with one decimal."""
        return f"{self.number(distance_km, 1 if distance_km < 9.95 else 0)} km"

    def size(self, n_bytes: float) -> str:
        """Format a number of bytes, such as `1.71 GB`."""
        unit, scale, pattern = ("gigabyte", 1e9, "#,##0.00") if n_bytes >= 1e9 else ("megabyte", 1e6, "#,##0.0")
        return str(format_unit(n_bytes / scale, f"digital-{unit}", "short", pattern, self.language))

    def duration(self, seconds: float) -> str:
        """Format an approximate duration, such as `3 minutes`."""
        return str(format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=self.language))

    def taken_at(self, camera: CameraFacts) -> str | None:
        """Format the capture time on the clock of the camera; None without one."""
        return None if camera.taken_at is None else self.time(camera.taken_at)

    def time(self, at: datetime) -> str:
        """Format a date and time, with its offset from UTC if it has one."""
        pattern = "d MMMM y, HH:mm ZZZZ" if at.tzinfo else "d MMMM y, HH:mm"
        return str(format_datetime(at, pattern, locale=self.language))


@cache
def get_translator(language: str) -> Translator:
    """Translator of one language; its catalogue is compiled in memory.

    Raises:
        FileNotFoundError: If there is no catalogue for that language.
    """
    if language == "en":
        return Translator(language, gettext.NullTranslations())
    with (_CATALOGUES / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translator(language, gettext.GNUTranslations(compiled))


def extract_card(
    file: IO[bytes],
    keywords: object,  # noqa: ARG001 - Babel gives these three
    comment_tags: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
) -> Iterator[tuple[int, None, str, list[str]]]:
    """Texts of a model card for `make i18n-extract`, without the list of countries, whose names are translated."""
    card = json.load(file)
    for text in (card["summary"], card["limits"], card["calibration"]["fitted_on"], card["knows"]):
        if text and " countries: " not in text:
            yield 1, None, text, []


def extract_measurements(
    file: IO[bytes],
    keywords: object,  # noqa: ARG001 - as above
    comment_tags: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
) -> Iterator[tuple[int, None, str, list[str]]]:
    """Sentences of a model's `figures.json` or `studies.json` about the photos, for `make i18n-extract`."""
    content = json.load(file)
    kinds = ("curves", "comparisons", "searches")
    for part in (content, *(study for kind in kinds for study in content.get(kind, []))):
        if "measured_on" in part:
            yield 1, None, part["measured_on"], []


#: Translator of texts that stay as they are in the code.
ENGLISH: Final = get_translator("en")


def percent(fraction: float, language: str = "en", *, tenths: bool = False) -> str:
    """A fraction as per cent in the format of a language; with one decimal below 10 %, and everywhere by `tenths`."""
    if 0 < fraction < 0.0005:
        return "< " + percent(0.001, language)
    pattern = "#,##0.0%" if tenths or 0 < fraction < 0.0995 else "#,##0%"
    if language == "fr":
        pattern = pattern.replace("%", "\u202f%")
    return str(format_percent(fraction, format=pattern, locale=language))


def translate(text: str, t: Translator) -> str:
    """Translate a `Message` with its parameters; any other text stays as it is."""
    if not isinstance(text, Message):
        return text
    params = {name: translate(value, t) if isinstance(value, str) else value for name, value in text.params.items()}
    return t(text.id, **params)
