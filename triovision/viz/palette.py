"""Colours of the light and dark theme, and the base layout of all figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a theme, as `#rrggbb`.

    Attributes:
        background: Background of the page and of the figure, so that a downloaded figure is readable anywhere.
        text: Texts and numbers.
        muted: Secondary marks, such as countries outside the set of probable ones.
        grid: Axis lines.
        accent: Emphasised marks.
    """

    background: str
    text: str
    muted: str
    grid: str
    accent: str


LIGHT = Palette(background="#fcfbf9", text="#1c2529", muted="#8a9396", grid="#dedbd4", accent="#0b6b6e")
DARK = Palette(background="#12181b", text="#e9ecea", muted="#7d888b", grid="#2c363a", accent="#58c2b8")


def base_layout(palette: Palette, font_px: int) -> dict[str, Any]:
    """Background, font and hover label of every Plotly figure, as arguments of `update_layout`."""
    font = {"color": palette.text, "family": "'Source Sans', system-ui, sans-serif", "size": font_px}
    return {
        "paper_bgcolor": palette.background,
        "plot_bgcolor": palette.background,
        "font": font,
        "hoverlabel": {"bgcolor": palette.background, "bordercolor": palette.accent, "font": font},
    }
