"""Language of the page, and untrusted texts as Markdown."""

from __future__ import annotations

import re

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from triovision.languages import LANGUAGES, Translator, get_translator
from triovision.photo.names import clean_text

__all__ = [
    "LANGUAGES",
    "Translator",
    "browser_language",
    "current_translator",
    "get_translator",
    "plain",
    "relabel",
    "render_language_switch",
]

#: Where Markdown makes a link of a bare address, also behind escapes: in front of these, a word joiner breaks it.
_AUTOLINK = re.compile(r"(?<=http)(?=:)|(?<=https)(?=:)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
_WORD_JOINER = "\u2060"
_MARKDOWN = str.maketrans({sign: "\\" + sign for sign in r"\`*_{}[]()<>#+-.!|~:$&^"})


def current_translator() -> Translator:
    """Translator of this session: for the language chosen by the reader, else for that of the browser."""
    return get_translator(st.session_state.get("language") or browser_language(st.context.locale))


def browser_language(locale: str | None) -> str:
    """Language of `LANGUAGES` for a browser locale such as `fr-CA`; English if none matches."""
    language = (locale or "en").replace("_", "-").split("-")[0].lower()
    return language if language in LANGUAGES else "en"


def render_language_switch(t: Translator) -> DeltaGenerator:
    """Draw the language switch; the session keeps the choice. Returns the bar that holds it."""
    st.session_state.setdefault("language", t.language)
    bar = st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="language-bar")
    with bar:
        st.segmented_control(
            t("Language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language",
            required=True,
            label_visibility="collapsed",
            persist_state="session",
        )
    return bar


def relabel(key: str, t: Translator) -> None:
    """Send the choice of a widget to the browser again after a change of the language. Call it before the widget.

    The browser knows an option by its label only: it would send the old one, and the choice would be lost.
    """
    drawn_in = f"{key}-language"
    if st.session_state.get(drawn_in, t.language) != t.language and key in st.session_state:
        st.session_state[key] = st.session_state[key]
    st.session_state[drawn_in] = t.language


def plain(text: str, max_length: int = 80) -> str:
    """Escape an untrusted text for Markdown: one line without control characters, at most `max_length` characters.

    Addresses in it become no links: an invisible character interrupts them.
    """
    return _AUTOLINK.sub(_WORD_JOINER, clean_text(text, max_length)).translate(_MARKDOWN)
