"""Colours of the light and dark theme, and the base layout of all figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

#: Face of the page, the figures and the map; a reader without it sees the face of the system.
FONT_FAMILY: Final = "Poppins, system-ui, sans-serif"


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a theme, as `#rrggbb`, and its shadow. `.streamlit/config.toml` gives the same ones to Streamlit.

    Attributes:
        background: Background of the page and of the figure, so that a downloaded figure is readable anywhere.
        surface: Background of widgets and of quiet parts of a figure.
        text: Texts and numbers.
        muted: Secondary texts and marks, such as countries outside the set of probable ones.
        grid: Axis lines and borders.
        accent: Emphasised marks, links and the first button.
        on_accent: Texts on the accent.
        shadow: CSS shadow of what lies above the page: photo, map.
    """

    background: str
    surface: str
    text: str
    muted: str
    grid: str
    accent: str
    on_accent: str
    shadow: str


LIGHT: Final = Palette(
    background="#fcfbf9",
    surface="#f3f1ec",
    text="#1c2529",
    muted="#5d686c",
    grid="#dedbd4",
    accent="#0b6b6e",
    on_accent="#ffffff",
    shadow="0 1px 2px rgb(28 37 41 / 0.12), 0 6px 18px rgb(28 37 41 / 0.08)",
)
DARK: Final = Palette(
    background="#12181b",
    surface="#1b2327",
    text="#e9ecea",
    muted="#98a3a6",
    grid="#2c363a",
    accent="#58c2b8",
    on_accent="#12201f",
    shadow="0 1px 2px rgb(0 0 0 / 0.5), 0 6px 18px rgb(0 0 0 / 0.35)",
)


def base_layout(palette: Palette, font_px: int) -> dict[str, Any]:
    """Background, font and hover label of every Plotly figure, as arguments of `update_layout`."""
    font = {"color": palette.text, "family": FONT_FAMILY, "size": font_px}
    return {
        "paper_bgcolor": palette.background,
        "plot_bgcolor": palette.background,
        "font": font,
        "hoverlabel": {"bgcolor": palette.background, "bordercolor": palette.accent, "font": font},
    }
