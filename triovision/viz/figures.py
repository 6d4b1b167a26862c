"""Plotly figures of a prediction: bars, radar, gauge, similarity heat map; and a page of several figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from babel.numbers import format_decimal, get_decimal_symbol
from numpy.typing import NDArray

from triovision.geo import country_name
from triovision.guesses import CountryGuess
from triovision.languages import percent
from triovision.results import Prediction
from triovision.viz.flags import flag_data_uri
from triovision.viz.palette import Palette, base_layout

_QUARTERS = (0, 0.25, 0.5, 0.75, 1)
_LONGEST_NAME = 22  # characters; a longer name leaves no room for the bars on a phone


def country_label(country: str, language: str = "en") -> str:
    """Name of a country, shortened so that it fits beside a chart on a phone."""
    name = country_name(country, language)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1].rstrip() + "…"


def certainty_strip(
    prediction: Prediction, palette: Palette, names: tuple[str, str], language: str = "en"
) -> go.Figure:
    """One stacked bar of the first country, the rest of the likely set and all other countries.

    Args:
        prediction: The prediction; its `countries` may lack some labels of the model.
        palette: Colours.
        names: Names of the second and the third part; the first has the name of its country.
        language: Language of names and numbers.

    Returns:
        A stacked bar with one trace per part; their widths sum to 1.
    """
    first = prediction.countries[0]
    likely = set(prediction.country_set)
    others = sum(guess.probability for guess in prediction.countries[1:] if guess.country in likely)
    rest = max(0.0, 1.0 - first.probability - others)
    parts = (
        (country_label(first.country, language), first.probability, palette.accent, ""),
        (names[0], others, palette.surface, "/"),
        (names[1], rest, palette.background, ""),
    )
    return _figure(
        [
            go.Bar(
                name=name,
                x=[width],
                y=[""],
                orientation="h",
                marker={
                    "color": color,
                    # Faint lines: the number in front of them must stay readable.
                    "pattern": {"shape": shape, "fgcolor": palette.grid, "bgcolor": color, "size": 8, "solidity": 0.3},
                    "line": {"width": 1, "color": palette.muted},
                },
                text=percent(width, language) if width >= 0.08 else "",
                textposition="inside",
                insidetextanchor="start",
                textangle=0,
                insidetextfont={"color": palette.on_accent if color == palette.accent else palette.text},
                hovertemplate=f"{name} · {percent(width, language)}<extra></extra>",
            )
            for name, width, color, shape in parts
        ],
        palette,
        height_px=150,
        barmode="stack",
        legend={"orientation": "h", "y": -0.1, "yanchor": "top", "x": 0, "traceorder": "normal", "maxheight": 80},
        xaxis={"range": [-0.002, 1.002], "visible": False},  # room for the outer lines
        yaxis={"visible": False},
    )


def probability_bars(
    prediction: Prediction, k: int, palette: Palette, names: tuple[str, str], language: str = "en"
) -> go.Figure:
    """Horizontal bars of the `k` most probable countries, on an axis from 0 to 100 %.

    Args:
        prediction: The prediction.
        k: Number of countries.
        palette: Colours.
        names: Names of the countries inside and outside the prediction's conformal set.
        language: Language of names and numbers.

    Returns:
        Two bar traces: inside the set (solid) and outside (hatched), most probable on top.
    """
    guesses = prediction.countries[:k]
    likely = set(prediction.country_set)
    labels = [country_label(guess.country, language) for guess in guesses]
    return _figure(
        [
            _bars([g for g in guesses if (g.country in likely) is inside], name, color, shape, language)
            for inside, name, color, shape in (
                (True, names[0], palette.accent, ""),
                (False, names[1], palette.muted, "/"),
            )
        ],
        palette,
        height_px=70 + 30 * len(guesses),
        barmode="overlay",
        bargap=0.35,
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        xaxis={
            "range": [0, 1.12],
            "tickvals": _QUARTERS,
            "ticktext": [percent(value, language) for value in _QUARTERS],
        },
        yaxis={"categoryorder": "array", "categoryarray": labels[::-1], "ticklabelstandoff": 34},
        images=[_flag_at(label, guess.country) for label, guess in zip(labels, guesses, strict=True)],
    )


def probability_radar(prediction: Prediction, k: int, palette: Palette, language: str = "en") -> go.Figure:
    """Closed radar chart of the `k` most probable countries; the distance from the centre is the probability."""
    guesses = prediction.countries[:k]
    ring = [*guesses, guesses[0]]
    return _figure(
        go.Scatterpolar(
            r=[guess.probability for guess in ring],
            theta=[country_label(guess.country, language).replace(" ", "<br>") for guess in ring],
            mode="lines+markers",
            fill="toself",
            fillcolor=_fade(palette.accent, 0.22),
            line={"color": palette.accent, "width": 2},
            marker={"size": 7},
            text=[_hover(guess, language) for guess in ring],
            hovertemplate="%{text}<extra></extra>",
        ),
        palette,
        height_px=400,
        margin={"l": 84, "r": 84, "t": 44, "b": 44},
        polar={
            "bgcolor": palette.background,
            "radialaxis": {
                "rangemode": "tozero",
                "tickvals": _QUARTERS,
                "ticktext": [percent(value, language) for value in _QUARTERS],
                "gridcolor": palette.grid,
                "linecolor": palette.grid,
                "angle": 90 - 180 / len(guesses),  # between two spokes, where nothing else is drawn
                "tickangle": 0,
                "tickfont": {"color": palette.muted, "size": 11},
            },
            "angularaxis": {
                "rotation": 90,
                "direction": "clockwise",
                "gridcolor": palette.grid,
                "linecolor": palette.grid,
                "tickfont": {"size": 12},
            },
        },
    )


def similarity_heatmap(
    countries: Sequence[str], similarity_kk: NDArray[np.float32], palette: Palette, language: str = "en"
) -> go.Figure:
    """Similarity of countries to the model: similar countries are often confused.

    Args:
        countries: ISO 3166-1 alpha-2 codes, in the order of the matrix.
        similarity_kk: Cosine similarity of the classifier's class vectors, in [-1, 1], shape `(k, k)`.
        palette: Colours.
        language: Language of names and numbers.

    Returns:
        A square heat map, first country in the top row; every cell shows its value.

    Raises:
        ValueError: If the matrix does not fit the countries.
    """
    if similarity_kk.shape != (len(countries), len(countries)):
        raise ValueError(f"`similarity_kk` must be {(len(countries),) * 2} here, got {similarity_kk.shape}")
    labels = [country_label(country, language) for country in countries]
    rounded_kk = similarity_kk.round(2) + 0.0  # no "-0.00"
    texts = [[str(format_decimal(float(v), format="0.00", locale=language)) for v in row] for row in rounded_kk]
    return _figure(
        go.Heatmap(
            z=similarity_kk,
            x=labels,
            y=labels,
            text=texts,
            texttemplate="%{text}" if len(countries) <= 10 else None,
            hovertemplate="%{y} · %{x}<br>%{text}<extra></extra>",
            zmin=min(0.0, float(similarity_kk.min())),
            zmax=1.0,
            colorscale=[[0, palette.background], [1, palette.accent]],
            xgap=2,
            ygap=2,
            colorbar={
                "thickness": 10,
                "outlinewidth": 0,
                "nticks": 5,
                "tickfont": {"color": palette.muted, "size": 11},
            },
        ),
        palette,
        height_px=max(340, 120 + 30 * len(countries)),
        separators=get_decimal_symbol(language) + " ",
        xaxis={"tickvals": labels, "ticktext": list(countries), "tickangle": 0, "side": "top", "showgrid": False},
        yaxis={"autorange": "reversed"},
    )


def probability_gauge(guess: CountryGuess, palette: Palette, language: str = "en") -> go.Figure:
    """Gauge of the probability of one country, from 0 to 100 %."""
    value, label = f"<b>{percent(guess.probability, language)}</b>", country_label(guess.country, language)
    return _figure(
        go.Indicator(
            mode="gauge",
            value=guess.probability,
            gauge={
                "axis": {
                    "range": [0, 1],
                    "tickvals": [0, 1],
                    "ticktext": [percent(0, language), percent(1, language)],
                    "tickcolor": palette.grid,
                },
                "bar": {"color": palette.accent, "thickness": 0.9},
                "bgcolor": palette.background,
                "bordercolor": palette.grid,
                "borderwidth": 1,
            },
        ),
        palette,
        height_px=150,
        margin={"l": 36, "r": 36, "t": 34, "b": 10},
        font_size=11,
        annotations=[
            {"text": value, "x": 0.5, "y": 0.08, "showarrow": False, "font": {"size": 20}},
            {
                "text": label,
                "x": 0.5,
                "y": 1,
                "yanchor": "bottom",
                "yshift": 8,
                "showarrow": False,
                "font": {"size": 13},
            },
        ],
    )


def figures_page(figures: Mapping[str, go.Figure], title: str) -> str:
    """Write figures as one self-contained HTML page.

    Args:
        figures: Figures by their heading, in the order of the page. Headings are escaped here.
        title: Heading of the page; escaped here.

    Returns:
        The page, which contains Plotly's script (about 4 MB) once.
    """
    parts = [
        f"<h2>{escape(heading)}</h2>" + figure.to_html(full_html=False, include_plotlyjs=number == 0)
        for number, (heading, figure) in enumerate(figures.items())
    ]
    style = "<style>body{margin:0 auto;max-width:70rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif}</style>"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"{meta}<title>{escape(title)}</title>{style}"
    return f"<!doctype html><html><head>{head}</head><body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>"


def _flag_at(label: str, country: str) -> dict[str, Any]:
    """Flag between the name of a bar and the bar, as an image of the layout."""
    return {
        "source": flag_data_uri(country),
        "xref": "paper",
        "x": -0.01,
        "xanchor": "right",
        "sizex": 0.12,  # more than the flag needs: its height decides
        "yref": "y",
        "y": label,
        "yanchor": "middle",
        "sizey": 0.5,
        "sizing": "contain",
    }


def _bars(guesses: Sequence[CountryGuess], name: str, color: str, shape: str, language: str) -> go.Bar:
    return go.Bar(
        name=name,
        x=[guess.probability for guess in guesses],
        y=[country_label(guess.country, language) for guess in guesses],
        orientation="h",
        marker={"color": color, "pattern": {"shape": shape, "size": 6, "solidity": 0.25}, "line": {"width": 0}},
        text=[percent(guess.probability, language) for guess in guesses],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{_hover(guess, language)} ({name})" for guess in guesses],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _hover(guess: CountryGuess, language: str) -> str:
    return f"{country_name(guess.country, language)} · {percent(guess.probability, language)}"


def _figure(traces: object, palette: Palette, height_px: int, **layout: Any) -> go.Figure:  # noqa: ANN401 - Plotly's
    """Figure with the look of the page. Plotly takes a tenth of the time of `update_layout` for a whole layout."""
    defaults = {"height": height_px, "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "dragmode": False}
    axis = {"automargin": True, "fixedrange": True}
    axes = {
        "xaxis": axis | {"gridcolor": palette.grid, "zerolinecolor": palette.grid, "ticklabelstandoff": 4},
        "yaxis": axis | {"showgrid": False, "zeroline": False, "ticklabelstandoff": 8},
    }
    whole = base_layout(palette, 14) | defaults | layout
    return go.Figure(traces, whole | {name: options | layout.get(name, {}) for name, options in axes.items()})


def _fade(color: str, alpha: float) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
