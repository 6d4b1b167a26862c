"""Colours and style sheet of the page."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import streamlit as st
from streamlit.components.v1 import declare_component

from triovision.bundle import ASSETS, BUNDLE, STYLES
from triovision.ui.translation import Translator
from triovision.viz.palette import DARK, LIGHT, Palette


def palette() -> Palette:
    """Palette of the figures for the theme of the browser."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def apply_style(t: Translator) -> None:
    """Add the style sheet to the page, with translated texts for Streamlit's drop zone."""
    choose, limit = t("Choose photos"), t("or drop them here, up to 30 MB each")
    limit_many = t("or drop photos and ZIP archives here")
    choose_track, limit_track = t("Choose a GPX track"), t("or drop it here, up to 30 MB")
    colours = palette()
    variables = {
        "text-choose": f"'{choose}'",
        "text-limit": f"'{limit}'",
        "text-limit-many": f"'{limit_many}'",
        "text-choose-track": f"'{choose_track}'",
        "text-limit-track": f"'{limit_track}'",
        # Streamlit writes white on the primary colour, which is unreadable on the light one of the dark theme.
        "on-primary": colours.on_accent,
        "background": colours.background,
        "accent": colours.accent,
        "text": colours.text,
        "muted": colours.muted,
        "shadow": colours.shadow,
    }
    root = "; ".join(f"--{name}: {value}" for name, value in variables.items())
    st.html(f"<style>:root {{ {root} }} {_style_sheet()}</style>")


def follow_system_theme() -> None:
    """Draw maps and charts again when the system changes between light and dark; Streamlit's page changes by itself."""
    _system_theme()(key="system-theme", on_changed_change=lambda: None)


def font_faces() -> str:
    """`@font-face` rules of the page's fonts for the frame of a component."""
    # The folder as a component lies beside that frame, whatever script Streamlit runs.
    component = declare_component("fonts", path=str(BUNDLE / "static" / "fonts"))
    # The file, not the option: Streamlit renames keys of the option when a session begins.
    configuration = tomllib.loads((BUNDLE / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    return "".join(
        f"@font-face {{ font-family: {face['family']}; font-weight: {face['weight']}; font-display: swap; "
        f"src: url('../{component.name}/{PurePosixPath(face['url']).name}'); unicode-range: {face['unicodeRange']}; }}"
        for face in configuration["theme"]["fontFaces"]
    )


@cache
def _system_theme() -> Any:  # noqa: ANN401 - Streamlit's type is not public
    script = (ASSETS / "system_theme.js").read_text(encoding="utf-8")
    return st.components.v2.component("triovision_system_theme", html="<span></span>", js=script)


@cache
def _style_sheet() -> str:
    return (STYLES / "theme.css").read_text(encoding="utf-8")
