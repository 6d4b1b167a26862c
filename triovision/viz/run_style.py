"""Shared style of the figures of training runs: colours, axes, legend, curves over epochs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from triovision.metrics.country import Epoch
from triovision.viz.palette import DARK, Palette, base_layout

# Distinct for colour-blind readers, on paper and on a dark screen; dashes and symbols repeat the difference.
_LIGHT_COLOURS = ("#0b6b6e", "#b4531a", "#5a4fa3", "#8a6d00", "#a3336f", "#3d6b2f")
_DARK_COLOURS = ("#58c2b8", "#f0a35e", "#a9a1f0", "#d8c04a", "#f08dbb", "#9ccb86")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")

Line = tuple[list[int], list[float | None]]


def colours(palette: Palette) -> tuple[str, ...]:
    """Six colours for lines and marks on the palette's background."""
    return _DARK_COLOURS if palette == DARK else _LIGHT_COLOURS


def safe_name(name: str) -> str:
    """An untrusted name, escaped and shortened: Plotly interprets some HTML in its texts."""
    return escape(name if len(name) <= 40 else name[:39] + "…")


def safe_names(names: Iterable[str]) -> list[str]:
    """Names as of `safe_name`, those that it makes equal numbered: on an axis of Plotly, equal names are one."""
    safe = [safe_name(name) for name in names]
    number_of = Counter(safe)
    seen = Counter[str]()
    distinct = []
    for name in safe:
        seen[name] += 1
        distinct.append(f"{name} {seen[name]}" if number_of[name] > 1 else name)
    return distinct


def lines(epochs: Sequence[Epoch], metric: str) -> dict[str, Line]:
    """Epochs and values of every logged `<name>/<metric>` by name, training first.

    The mean over the splits, `val/<metric>`, is left out: the figure shows the lines of the splits.
    """
    names = {name for epoch in epochs for name in epoch.values if name.endswith(f"/{metric}")} - {f"val/{metric}"}
    ordered = sorted(names, key=lambda name: (not name.startswith("train/"), name))
    return {
        name.removesuffix(f"/{metric}"): (
            [epoch.epoch for epoch in epochs if name in epoch.values],
            [epoch.values[name] for epoch in epochs if name in epoch.values],
        )
        for name in ordered
    }


def curves(named: Mapping[str, Line], palette: Palette, title: str) -> go.Figure:
    """Lines over epochs, distinct in colour, dash and symbol."""
    figure = go.Figure()
    # The first colour is reserved for training, so that a split has the same colour with and without a training line.
    for number, (name, (epochs, values)) in enumerate(named.items(), start="train" not in named):
        figure.add_scatter(
            name=safe_name(name),
            x=epochs,
            y=values,
            mode="lines+markers",
            line={"color": colours(palette)[number % 6], "dash": DASHES[number % 6], "width": 2},
            marker={"symbol": SYMBOLS[number % 6], "size": 7},
            hovertemplate="epoch %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
        )
    apply_style(figure, palette, 360)
    figure.update_layout(showlegend=True)
    last = max((epoch for epochs, _ in named.values() for epoch in epochs), default=1)
    figure.update_xaxes(title="epoch", dtick=-(-last // 10))  # at most ten ticks, at whole epochs
    figure.update_yaxes(title=title, rangemode="tozero")
    return figure


def fraction_axis(figure: go.Figure, title: str | None = None) -> go.Figure:
    """Set the vertical axis to fractions from 0 to 100 %."""
    figure.update_yaxes(tickformat=".0%", range=[0, 1.04], **({} if title is None else {"title": title}))
    return figure


def apply_style(figure: go.Figure, palette: Palette, height_px: int) -> None:
    """Set colours, font, margins and a legend above the figure, where it fits on a phone."""
    figure.update_layout(
        **base_layout(palette, 13),
        height=height_px,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "bgcolor": "rgba(0,0,0,0)"},
        dragmode=False,
    )
    axis = {"automargin": True, "fixedrange": True, "gridcolor": palette.grid, "linecolor": palette.grid}
    figure.update_xaxes(**axis, zerolinecolor=palette.grid, title_standoff=8)
    figure.update_yaxes(**axis, zerolinecolor=palette.grid, title_standoff=8)


def mix(first: str, second: str, weight: float) -> str:
    """Linear mix of two `#rrggbb` colours; `weight` is the fraction of the second."""
    pairs = [(int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * weight):02x}" for a, b in pairs)
