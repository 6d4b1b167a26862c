"""Translations of the page: English in the code, gettext catalogues for other languages."""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO

import streamlit as st
from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit

from triovision.bundle import ASSETS
from triovision.photo.names import clean_text
from triovision.results import CameraFacts

_CATALOGUES = ASSETS / "translations"
#: Native name of each language by ISO 639-1 code: English, and one for each catalogue.
LANGUAGES = {
    code: str(Locale.parse(code).get_display_name(code)).capitalize()
    for code in ("en", *sorted(path.stem for path in _CATALOGUES.glob("*.po")))
}
_MARKDOWN = str.maketrans({sign: "\\" + sign for sign in r"\`*_{}[]()<>#+-.!|~:$&^"})


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
        return self.catalogue.ngettext(one, many, number).format(number=number)

    def number(self, value: float, digits: int = 0) -> str:
        """Format a number with the separators of the language."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(format_decimal(value, format=pattern, locale=self.language))

    def size(self, n_bytes: float) -> str:
        """Format a number of bytes, such as `1.71 GB`."""
        unit, scale, pattern = ("gigabyte", 1e9, "#,##0.00") if n_bytes >= 1e9 else ("megabyte", 1e6, "#,##0.0")
        return str(format_unit(n_bytes / scale, f"digital-{unit}", "short", pattern, self.language))

    def duration(self, seconds: float) -> str:
        """Format an approximate duration, such as `3 minutes`."""
        return str(format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=self.language))

    def taken_at(self, camera: CameraFacts) -> str | None:
        """Format the capture time on the clock of the camera; None without one."""
        if camera.taken_at is None:
            return None
        return self.time(camera.taken_at)

    def time(self, at: datetime) -> str:
        """Format a date and time, with its offset from UTC if it has one."""
        pattern = "d MMMM y, HH:mm ZZZZ" if at.tzinfo else "d MMMM y, HH:mm"
        return str(format_datetime(at, pattern, locale=self.language))


def current_translator() -> Translator:
    """Translator of this session: for the language chosen by the reader, else for that of the browser."""
    return get_translator(st.session_state.get("language") or browser_language(st.context.locale))


def browser_language(locale: str | None) -> str:
    """Language of `LANGUAGES` for a browser locale such as `fr-CA`; English if none matches."""
    language = (locale or "en").replace("_", "-").split("-")[0].lower()
    return language if language in LANGUAGES else "en"


def render_language_switch(t: Translator) -> None:
    """Draw the language switch; the session keeps the choice."""
    st.session_state.setdefault("language", t.language)
    with st.container(horizontal=True, horizontal_alignment="right", key="language-bar"):
        st.segmented_control(
            t("Language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language",
            required=True,
            label_visibility="collapsed",
            persist_state="session",
        )


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


def plain(text: str, max_length: int = 80) -> str:
    """Escape an untrusted text for Markdown: one line without control characters, at most `max_length` characters."""
    return clean_text(text, max_length).translate(_MARKDOWN)
