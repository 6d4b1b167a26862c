"""Colours and style sheet of the page."""

from __future__ import annotations

from functools import cache

import streamlit as st

from triovision.bundle import STYLES
from triovision.ui.translation import Translator
from triovision.viz.palette import DARK, LIGHT, Palette


def palette() -> Palette:
    """Palette of the figures for the theme of the browser."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def apply_style(t: Translator) -> None:
    """Add the style sheet to the page, with translated texts for Streamlit's drop zone."""
    choose, limit = t("Choose photos"), t("or drop them here, up to 30 MB each")
    colours = palette()
    variables = {
        "text-choose": f"'{choose}'",
        "text-limit": f"'{limit}'",
        # Streamlit writes white on the primary colour, which is unreadable on the light one of the dark theme.
        "on-primary": colours.on_accent,
        "accent": colours.accent,
        "muted": colours.muted,
        "shadow": colours.shadow,
    }
    root = "; ".join(f"--{name}: {value}" for name, value in variables.items())
    st.html(f"<style>:root {{ {root} }} {_style_sheet()}</style>")


@cache
def _style_sheet() -> str:
    return (STYLES / "theme.css").read_text(encoding="utf-8")
