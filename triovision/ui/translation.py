"""The words of the screen in the reader's language: English in the code, gettext catalogues for the rest."""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from io import BytesIO

import streamlit as st
from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit

from triovision.bundle import ASSETS
from triovision.photo.names import clean_text
from triovision.results import CameraFacts

LANGUAGES = {"en": "English", "fr": "Français"}
_CATALOGUES = ASSETS / "translations"
_MARKDOWN = str.maketrans({sign: "\\" + sign for sign in r"\`*_{}[]()<>#+-.!|~:$&^"})


@dataclass(frozen=True, slots=True)
class Translator:
    """Says things in one language.

    Attributes:
        language: ISO 639-1 code, one of `LANGUAGES`.
        catalogue: Where the translations of that language are.
    """

    language: str
    catalogue: gettext.NullTranslations

    def __call__(self, msgid: str, /, **values: object) -> str:
        """The translation of an English text, with `{name}` replaced by the values."""
        return self.catalogue.gettext(msgid).format(**values)

    def plural(self, one: str, many: str, /, number: int) -> str:
        """The translation that fits `number`, which replaces `{number}`."""
        return self.catalogue.ngettext(one, many, number).format(number=number)

    def number(self, value: float, digits: int = 0) -> str:
        """A number with the separators of the language."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return str(format_decimal(value, format=pattern, locale=self.language))

    def size(self, n_bytes: float) -> str:
        """An amount of bytes, such as `1.7 GB`."""
        unit, scale, pattern = ("gigabyte", 1e9, "#,##0.00") if n_bytes >= 1e9 else ("megabyte", 1e6, "#,##0.0")
        return str(format_unit(n_bytes / scale, f"digital-{unit}", "short", pattern, self.language))

    def duration(self, seconds: float) -> str:
        """A rough length of time, such as `3 minutes`."""
        return str(format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=self.language))

    def taken_at(self, camera: CameraFacts) -> str | None:
        """The time of the shot on the camera's own clock, or None."""
        if camera.taken_at is None:
            return None
        pattern = "d MMMM y, HH:mm ZZZZ" if camera.taken_at.tzinfo else "d MMMM y, HH:mm"
        return str(format_datetime(camera.taken_at, pattern, locale=self.language))


def words() -> Translator:
    """The words of this session: as chosen by the reader, else as the browser asks."""
    return get_translator(st.session_state.get("language") or browser_language(st.context.locale))


def browser_language(locale: str | None) -> str:
    """The language of `LANGUAGES` that fits a browser's locale such as `fr-CA`; English when none does."""
    language = (locale or "en").replace("_", "-").split("-")[0].lower()
    return language if language in LANGUAGES else "en"


def language_switch(say: Translator) -> None:
    """Draw the choice of language, which the session keeps."""
    st.session_state.setdefault("language", say.language)
    with st.container(horizontal=True, horizontal_alignment="right", key="language-bar"):
        st.segmented_control(
            say("Language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language",
            required=True,
            label_visibility="collapsed",
            persist_state="session",
        )


@cache
def get_translator(language: str) -> Translator:
    """The words of one language, its catalogue compiled in memory.

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


def plain(text: str, longest: int = 80) -> str:
    """Text from outside made fit for Markdown: one line, no control signs, no markup, not too long."""
    return clean_text(text, longest).translate(_MARKDOWN)
