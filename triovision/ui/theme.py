"""Colours and style sheet of the page."""

from __future__ import annotations

from functools import cache

import streamlit as st

from triovision.bundle import STYLES
from triovision.ui.translation import Translator
from triovision.viz.palette import DARK, LIGHT, Palette


def palette() -> Palette:
    """The colours of figures that fit the theme which the browser shows."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def apply_style(say: Translator) -> None:
    """Put the style sheet into the page, with the words that Streamlit's own drop zone lacks in other languages."""
    choose, limit = say("Choose photos"), say("or drop them here, up to 30 MB each")
    # Streamlit writes in white on the primary colour, which cannot be read where that is light.
    ink = "#12201f" if st.context.theme.type == "dark" else "#ffffff"
    names = f"--words-choose: '{choose}'; --words-limit: '{limit}'; --on-primary: {ink}"
    st.html(f"<style>:root {{ {names} }} {_style_sheet()}</style>")


@cache
def _style_sheet() -> str:
    return (STYLES / "theme.css").read_text(encoding="utf-8")
