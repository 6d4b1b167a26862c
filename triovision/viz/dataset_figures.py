"""Plotly figures of a data set, readable with 185 countries: counts, image sizes, positions, embeddings."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from triovision.geo import country_name
from triovision.languages import percent
from triovision.viz.palette import Palette, base_layout

_COLUMN_ROWS = 64  # bars in one column: as many as fit on a screen or a page
_ROW_PX = 17
_MOST_SOURCES = 30
_NAMED = 9  # countries with a colour of their own; more colours are hard to distinguish


def country_bars(countries: pd.DataFrame, rare_below: int, palette: Palette) -> go.Figure:
    """Photos of each country on a logarithmic axis, in one or more columns; bars of rare countries are hatched.

    Args:
        countries: `name`, `photos` and `rare`, most photos first.
        rare_below: Number of photos below which a country is rare, drawn as a line.
        palette: Colours.
    """
    n_columns = max(1, math.ceil(len(countries) / _COLUMN_ROWS))
    n_rows = math.ceil(len(countries) / n_columns)
    figure = make_subplots(cols=n_columns, horizontal_spacing=0.13 if n_columns > 1 else 0)
    for column in range(n_columns):
        part = countries.iloc[column * n_rows : (column + 1) * n_rows]
        for rare, name in ((False, "common"), (True, f"rare: under {rare_below:,} photos")):
            chosen = part[part["rare"] == rare]
            if len(chosen):
                figure.add_trace(
                    _bars(chosen["name"], chosen["photos"], palette, name=name, rare=rare), row=1, col=column + 1
                )
        # Padding makes the bars of all columns equally thick.
        padding = [" " * (n + 1) for n in range(n_rows - len(part))]
        figure.update_yaxes(
            categoryorder="array",
            categoryarray=[*padding, *part["name"][::-1]],
            range=[-0.6, n_rows - 0.4],
            tickfont={"size": 11},
            col=column + 1,
        )
    for name in {trace.name for trace in figure.data}:
        # One legend entry shows and hides the bars of all columns.
        figure.update_traces({"legendgroup": name, "showlegend": False}, selector={"name": name})
        next(trace for trace in figure.data if trace.name == name).showlegend = True
    _finish(figure, palette, "Photos per country", height_px=150 + _ROW_PX * n_rows)
    most = math.log10(max(int(countries["photos"].max()), 10))
    figure.update_xaxes(type="log", range=[math.log10(0.7), most * 1.22], dtick=1, tickformat="~s")
    if rare_below <= countries["photos"].max():
        figure.add_vline(x=rare_below, line={"color": palette.text, "width": 1, "dash": "dot"}, layer="below")
    return figure


def continent_bars(continents: pd.DataFrame, palette: Palette) -> go.Figure:
    """Photos of each continent, from columns `continent`, `photos`, `fraction` and `countries`, most photos first."""
    texts = [
        f"{photos:,} · {percent(fraction)} · {countries} {'country' if countries == 1 else 'countries'}"
        for photos, fraction, countries in zip(
            continents["photos"], continents["fraction"], continents["countries"], strict=True
        )
    ]
    return _ranked(continents["continent"], continents["photos"], texts, "Photos per continent", palette)


def source_bars(sources: pd.DataFrame, palette: Palette) -> go.Figure:
    """Photos of the largest sources and of all others, from columns `source` and `photos`, most photos first."""
    shown = sources.head(_MOST_SOURCES)
    names, photos = [_short(name) for name in shown["source"]], shown["photos"].tolist()
    if len(sources) > len(shown):
        names.append(f"{len(sources) - len(shown)} others")
        photos.append(int(sources["photos"].iloc[len(shown) :].sum()))
    total = int(sources["photos"].sum())
    texts = [f"{n:,} · {percent(n / total)}" for n in photos]
    return _ranked(names, photos, texts, "Photos per source", palette)


def year_bars(years: pd.DataFrame, palette: Palette) -> go.Figure:
    """Photos of each year, from columns `year` (text, one row may be `unknown`) and `photos`."""
    known = years[years["year"] != "unknown"]
    unknown = int(years["photos"].sum() - known["photos"].sum())
    figure = go.Figure(go.Bar(x=known["year"].astype(int), y=known["photos"], marker={"color": palette.accent}))
    note = f"{unknown:,} of {int(years['photos'].sum()):,} photos have no known year"
    _finish(figure, palette, "Photos per year", height_px=170 if known.empty else 380, note=note)
    figure.update_xaxes(tickformat="d", dtick=None if len(known) > 8 else 1)
    figure.update_yaxes(title="photos", showgrid=True)
    if known.empty:
        figure.update_xaxes(visible=False).update_yaxes(visible=False)
        figure.add_annotation(text="No photo has a known year", showarrow=False, font={"size": 16})
    return figure


def size_scatter(headers: pd.DataFrame, palette: Palette) -> go.Figure:
    """Width and height of the photos in pixels; the area of a mark is the number of photos of that size.

    Args:
        headers: `width` and `height`, one row per photo, NaN where unknown.
        palette: Colours.
    """
    known = headers.dropna(subset=["width", "height"])
    sizes = known.groupby(["width", "height"]).size().reset_index(name="photos")
    figure = go.Figure(
        go.Scatter(
            x=sizes["width"],
            y=sizes["height"],
            mode="markers",
            marker=_area_marker(sizes["photos"], palette.accent, palette.background, largest_px=36),
            customdata=sizes["photos"],
            hovertemplate="%{x} by %{y} px · %{customdata:,} photos<extra></extra>",
        )
    )
    unreadable = len(headers) - len(known)
    note = "area of a mark: photos of that size" + (f" · {unreadable:,} could not be read" if unreadable else "")
    _finish(figure, palette, "Image sizes", height_px=560, note=note)
    figure.update_xaxes(title="width (px)", rangemode="tozero")
    figure.update_yaxes(title="height (px)", rangemode="tozero", showgrid=True)
    return figure


def position_map(positions: pd.DataFrame, outlines: str, palette: Palette) -> go.Figure:
    """Known positions on a plate carrée map; the area of a mark is the number of photos there.

    The coastlines come from `outlines`: Plotly would download its own.

    Args:
        positions: `lat`, `lon` (degrees), `country` and `photos`.
        outlines: GeoJSON text of one `MultiPolygon`; see `triovision.viz.outlines`.
        palette: Colours.
    """
    lon, lat = _lines(outlines)
    photos = positions["photos"]
    named = [country_name(code) for code in positions["country"]]
    figure = go.Figure(
        [
            go.Scatter(
                x=lon, y=lat, mode="lines", line={"color": palette.muted, "width": 0.6}, hoverinfo="skip", name="land"
            ),
            go.Scatter(
                x=positions["lon"],
                y=positions["lat"],
                mode="markers",
                marker=_area_marker(photos, palette.accent, palette.background, largest_px=30),
                customdata=np.column_stack([named, photos]),
                hovertemplate="%{customdata[0]} · %{y:.2f}, %{x:.2f} · %{customdata[1]} photos<extra></extra>",
                name="photos",
            ),
        ]
    )
    note = f"{int(photos.sum()):,} photos with a position, in {positions['country'].nunique()} countries"
    _finish(figure, palette, "Positions", height_px=590, note=note)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[-180, 180], dtick=60, ticksuffix="°", zeroline=False, constrain="domain")
    figure.update_yaxes(
        range=[-60, 85],
        dtick=30,
        ticksuffix="°",
        showgrid=True,
        scaleanchor="x",
        constrain="domain",
        constraintoward="top",
    )
    return figure


def embedding_scatter(points: pd.DataFrame, method: str, palette: Palette) -> go.Figure:
    """Two-dimensional embedding of the photos by their features, with the most frequent countries in colour.

    Args:
        points: `x`, `y`, `country` and `file`, one row per photo. Only small distances have a meaning.
        method: Name of the embedding, such as `"t-SNE"`.
        palette: Colours.
    """
    largest = points["country"].value_counts().index[:_NAMED].tolist()
    others = ~points["country"].isin(largest)
    parts = [(f"{points['country'][others].nunique()} other countries", points[others], palette.muted)]
    parts += [
        (country_name(code), points[points["country"] == code], color)
        for code, color in zip(largest, qualitative.T10, strict=False)
    ]
    figure = go.Figure(
        [
            go.Scatter(
                x=part["x"],
                y=part["y"],
                mode="markers",
                name=name,
                marker={"color": color, "size": 4 if color == palette.muted else 7, "line": {"width": 0}},
                opacity=0.6 if color == palette.muted else 0.9,
                text=[
                    f"{country_name(code)} · {_short(file)}"
                    for code, file in zip(part["country"], part["file"], strict=True)
                ],
                hovertemplate="%{text}<extra></extra>",
            )
            for name, part, color in parts
            if len(part)
        ]
    )
    note = f"{len(points):,} photos of {points['country'].nunique()} countries"
    _finish(figure, palette, f"{method} of the features", height_px=720, note=note)
    figure.update_layout(
        legend={"itemsizing": "constant", "orientation": "v", "x": 1, "xanchor": "left", "y": 1, "yanchor": "top"}
    )
    figure.update_xaxes(showticklabels=False, showgrid=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, scaleanchor="x")
    return figure


def _ranked(names: Any, photos: Any, texts: list[str], title: str, palette: Palette) -> go.Figure:  # noqa: ANN401
    figure = go.Figure(_bars(names, photos, palette, texts=texts))
    _finish(figure, palette, title, height_px=130 + 26 * len(texts))
    figure.update_layout(showlegend=False)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(range=[0, max(photos) * 1.35], tickformat="~s")
    return figure


def _bars(
    names: Any,  # noqa: ANN401 - a column or a list
    photos: Any,  # noqa: ANN401 - the same
    palette: Palette,
    *,
    name: str = "",
    rare: bool = False,
    texts: list[str] | None = None,
) -> go.Bar:
    return go.Bar(
        name=name,
        x=photos,
        y=names,
        orientation="h",
        marker={
            "color": palette.muted if rare else palette.accent,
            "pattern": {"shape": "/" if rare else "", "size": 5, "solidity": 0.25},
            "line": {"width": 0},
        },
        text=texts or [f"{n:,}" for n in photos],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y} · %{x:,} photos<extra></extra>",
    )


def _area_marker(photos: pd.Series, color: str, edge: str, largest_px: float) -> dict[str, Any]:
    most = max(int(photos.max()), 1) if len(photos) else 1
    return {
        "color": color,
        "opacity": 0.65,
        "size": photos,
        "sizemode": "area",
        "sizeref": 2 * most / largest_px**2,
        "sizemin": 2.5,
        "line": {"color": edge, "width": 0.5},
    }


def _lines(outlines: str) -> tuple[list[float | None], list[float | None]]:
    """Rings of a MultiPolygon as longitudes and latitudes of one line with gaps."""
    lon: list[float | None] = []
    lat: list[float | None] = []
    for polygon in json.loads(outlines)["coordinates"]:
        for ring in polygon:
            lon += [*(point[0] for point in ring), None]
            lat += [*(point[1] for point in ring), None]
    return lon, lat


def _short(text: str, longest: int = 44) -> str:
    # Plotly interprets some HTML in its texts.
    shown = text if len(text) <= longest else "…" + text[1 - longest :]
    return shown.replace("&", "&amp;").replace("<", "&lt;")


def _finish(figure: go.Figure, palette: Palette, title: str, height_px: int, note: str | None = None) -> None:
    figure.update_layout(
        **base_layout(palette, 13),
        title={
            "text": title,
            "x": 0,
            "xanchor": "left",
            "pad": {"l": 12},
            "subtitle": {"text": note or "", "font": {"size": 13}},
        },
        height=height_px,
        margin={"l": 12, "r": 20, "t": 84, "b": 12},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        bargap=0.25,
    )
    figure.update_xaxes(automargin=True, gridcolor=palette.grid, zerolinecolor=palette.grid, ticklabelstandoff=4)
    figure.update_yaxes(automargin=True, gridcolor=palette.grid, showgrid=False, zeroline=False, ticklabelstandoff=6)
