"""Plotly figures of a model card: reliability, risk and coverage, recall by country, confusion of continents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import plotly.graph_objects as go

from triovision.geo import continent_name, country_name
from triovision.languages import Translator
from triovision.metrics.model_figures import CountryRecall, ModelFigures
from triovision.viz.palette import Palette
from triovision.viz.run_style import apply_style, colours, mix

Outlines = Mapping[str, list[list[list[float]]]]

_TICKS: Final = (0, 0.25, 0.5, 0.75, 1)


def reliability_figure(figures: ModelFigures, palette: Palette, t: Translator) -> go.Figure:
    """Accuracy against probability in bins; the area of a dot grows with its photos, and the diagonal is calibrated.

    Args:
        figures: Figures of the card.
        palette: Colours.
        t: Language of texts and numbers.
    """
    bins = figures.reliability
    figure = go.Figure(
        [
            go.Scatter(
                name=t("perfect calibration"),
                x=[0, 1],
                y=[0, 1],
                mode="lines",
                line={"color": palette.muted, "dash": "dot"},
                hoverinfo="skip",
            ),
            go.Scatter(
                name=t("this model"),
                x=[one.probability for one in bins],
                y=[one.accuracy for one in bins],
                mode="lines+markers",
                line={"color": palette.accent},
                marker={"size": [6 + 34 * (one.photos / figures.photos) ** 0.5 for one in bins], "opacity": 0.8},
                cliponaxis=False,
                text=[
                    t(
                        "probability {probability}, right {accuracy}, {photos} photos",
                        probability=t.percent(one.probability),
                        accuracy=t.percent(one.accuracy),
                        photos=one.photos,
                    )
                    for one in bins
                ],
                hovertemplate="%{text}<extra></extra>",
            ),
        ]
    )
    apply_style(figure, palette, 380)
    return _fractions(figure, t("probability of the answer"), t("right answers"), t)


def risk_coverage_figure(figures: ModelFigures, palette: Palette, t: Translator) -> go.Figure:
    """Fraction of wrong answers against the fraction of photos answered, the most certain first."""
    points = [point for point in figures.risk_coverage if point.risk is not None]
    figure = go.Figure(
        go.Scatter(
            name=t("this model"),
            x=[point.coverage for point in points],
            y=[point.risk for point in points],
            mode="lines",
            line={"color": palette.accent, "width": 2},
            text=[
                t(
                    "answered {coverage}, of these wrong {risk}",
                    coverage=t.percent(point.coverage),
                    risk=t.percent(point.risk or 0),
                )
                for point in points
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    chosen = figures.at_threshold
    if chosen.risk is not None:
        figure.add_scatter(
            name=t("where it says “not sure”"),
            x=[chosen.coverage],
            y=[chosen.risk],
            mode="markers",
            marker={"size": 12, "symbol": "diamond", "color": colours(palette)[1]},
            cliponaxis=False,
            hoverinfo="name",
        )
    apply_style(figure, palette, 380)
    return _fractions(figure, t("photos answered"), t("wrong answers"), t)


def recall_map(figures: ModelFigures, outlines: Outlines, palette: Palette, t: Translator) -> go.Figure:
    """World map of the recall by country; countries without photos have the colour of the ground.

    Args:
        figures: Figures of the card.
        outlines: Rings by country, from `read_country_outlines`.
        palette: Colours.
        t: Language of texts and numbers.

    Returns:
        One filled trace for each country of the outlines; the smallest countries are not among these.
    """
    scale = [[0, mix(palette.background, palette.accent, 0.12)], [1, palette.accent]]
    recalls = {one.country: one for one in figures.countries}
    figure = go.Figure()
    for country, rings in outlines.items():
        one = recalls.get(country)
        figure.add_scatter(
            x=[value for ring in rings for value in (*(point[0] for point in ring), None)],
            y=[value for ring in rings for value in (*(point[1] for point in ring), None)],
            mode="lines",
            fill="toself",
            fillcolor=palette.background if one is None else _colour(one.recall, palette),
            line={"color": palette.muted, "width": 0.6},
            hoveron="fills",
            name="" if one is None else recall_text(one, t),
            hoverinfo="skip" if one is None else "name",
            hoverlabel={"namelength": -1},
            showlegend=False,
        )
    # The colour bar belongs to a marker that is never seen.
    bar = {"thickness": 10, "outlinewidth": 0, "orientation": "h", "y": -0.02, "yanchor": "top", "len": 0.6}
    ticks = {"tickvals": _TICKS, "ticktext": [t.percent(value) for value in _TICKS]}
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"color": [0], "cmin": 0, "cmax": 1, "colorscale": scale, "colorbar": bar | ticks, "showscale": True},
        showlegend=False,
        hoverinfo="skip",
    )
    apply_style(figure, palette, 340)  # more would be blank on a phone
    figure.update_xaxes(visible=False, range=[-180, 180], constrain="domain")
    figure.update_yaxes(visible=False, range=[-58, 84], scaleanchor="x", scaleratio=1.15, constrain="domain")
    return figure


def recall_text(one: CountryRecall, t: Translator) -> str:
    """Words of the recall of one country, with its photos."""
    return t(
        "{country}: {recall} of {photos} photos",
        country=country_name(one.country, t.language),
        recall=t.percent(one.recall),
        photos=one.photos,
    )


def continent_confusion(figures: ModelFigures, palette: Palette, t: Translator) -> go.Figure:
    """Fraction of the photos of each continent (row) that were placed in each continent (column)."""
    rows = sorted({cell.truth for cell in figures.continents})
    columns = sorted({cell.truth for cell in figures.continents} | {cell.answer for cell in figures.continents})
    counts = np.zeros((len(rows), len(columns)))
    for cell in figures.continents:
        counts[rows.index(cell.truth), columns.index(cell.answer)] = cell.photos
    shares = counts / counts.sum(axis=1, keepdims=True)
    # Codes in the columns, and rows of two lines: on a phone, the names would take the place of the cells.
    names = {code: f"{continent_name(code, t.language)} ({code})" for code in columns}
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=columns,
            y=[names[code].replace(" ", "<br>", 1) if names[code].count(" ") > 1 else names[code] for code in rows],
            text=[[t.percent(float(share)) for share in row] for row in shares],
            texttemplate="%{text}",
            hovertext=[
                [
                    t(
                        "{truth} placed in {answer}: {photos} photos",
                        truth=names[truth],
                        answer=names[answer],
                        photos=t.number(count),
                    )
                    for answer, count in zip(columns, row, strict=True)
                ]
                for truth, row in zip(rows, counts, strict=True)
            ],
            hoverinfo="text",
            zmin=0,
            zmax=1,
            colorscale=[[0, palette.background], [1, palette.accent]],
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    apply_style(figure, palette, 380)
    figure.update_xaxes(side="top", tickangle=0, title=t("predicted continent"), showgrid=False, dtick=1)
    figure.update_yaxes(autorange="reversed", title=t("true continent"), showgrid=False, dtick=1)
    return figure


def _colour(share: float, palette: Palette) -> str:
    return mix(palette.background, palette.accent, 0.12 + 0.88 * share)


def _fractions(figure: go.Figure, x_title: str, y_title: str, t: Translator) -> go.Figure:
    ticks = {"tickvals": _TICKS, "ticktext": [t.percent(value) for value in _TICKS], "range": [0, 1.04]}
    figure.update_xaxes(title=x_title, **ticks)
    figure.update_yaxes(title=y_title, **ticks)
    return figure
