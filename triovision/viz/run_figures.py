"""Plotly figures of a training run: learning curves, recall, confusion, reliability, risk and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import numpy as np
import plotly.graph_objects as go

from triovision.geo import country_name
from triovision.geo.continents import CONTINENTS
from triovision.languages import percent
from triovision.metrics.country import CountryScore, Epoch, Reliability, SplitMetrics
from triovision.viz.palette import Palette
from triovision.viz.run_style import DASHES, SYMBOLS, apply_style, colours, curves, fraction_axis, lines, mix


def loss_curves(epochs: Sequence[Epoch], palette: Palette) -> go.Figure:
    """Training and validation loss by epoch, one line per logged `<split>/loss`."""
    return curves(lines(epochs, "loss"), palette, "loss (nats)")


def accuracy_curves(epochs: Sequence[Epoch], palette: Palette) -> go.Figure:
    """Training and validation top-1 accuracy by epoch, one line per logged `<split>/top1`."""
    return fraction_axis(curves(lines(epochs, "top1"), palette, "top-1 accuracy"))


def recall_by_photos(countries: Sequence[CountryScore], palette: Palette) -> go.Figure:
    """Recall of each country against its training photos; the area of a dot grows with its validation photos."""
    rows = [row for row in countries if row.recall is not None]
    figure = go.Figure()
    for number, (continent, group) in enumerate(groupby(rows, key=lambda row: row.continent)):
        members = list(group)
        figure.add_scatter(
            name=CONTINENTS.get(continent, escape(continent)),
            x=[max(1, row.training_photos) for row in members],
            y=[row.recall for row in members],
            # Codes fit beside the dots, other labels do not.
            mode="markers+text" if continent else "markers",
            showlegend=bool(continent),
            cliponaxis=False,
            text=[escape(row.country) for row in members],
            textposition="top center",
            textfont={"size": 10, "color": palette.muted},
            marker={
                "size": [6 + 2 * min(100, row.photos) ** 0.5 for row in members],
                "color": colours(palette)[number % 6],
                "symbol": SYMBOLS[number % 6],
                "opacity": 0.8,
            },
            hovertext=[
                f"{label_name(row)}<br>recall {percent(row.recall or 0)} of {row.photos} photos<br>"
                f"{row.training_photos} training photos"
                for row in members
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    apply_style(figure, palette, 420)
    figure.update_xaxes(type="log", title="training photos", dtick="D2")
    return fraction_axis(figure, "recall")


def confusion_matrix(split: SplitMetrics, palette: Palette) -> go.Figure:
    """Fraction of the photos of each country (row) that were predicted as each country (column).

    Countries are sorted by continent and code, so that blocks along the diagonal are continents. Only countries with a
    label have a row; those without photos and predictions are left out.
    """
    rows = confusion_order(split)
    index = {row.country: i for i, row in enumerate(rows)}
    counts = np.zeros((len(rows), len(rows)))
    for cell in split.confusion:
        if cell.truth in index:
            counts[index[cell.truth], index[cell.answer]] = cell.photos
    fractions = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    codes, names = [escape(row.country) for row in rows], [label_name(row) for row in rows]
    hover = [
        [
            f"{truth} predicted as {predicted}<br>{counts[i, j]:.0f} photos, {fractions[i, j]:.0%}"
            if counts[i, j]
            else ""
            for j, predicted in enumerate(names)
        ]
        for i, truth in enumerate(names)
    ]
    figure = go.Figure(
        go.Heatmap(
            x=codes,
            y=codes,
            z=np.where(counts > 0, fractions, np.nan),
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
            hoverongaps=False,
            zmin=0,
            zmax=1,
            colorscale=[[0, mix(palette.background, palette.accent, 0.18)], [1, palette.accent]],
            # Below, because a phone has no room beside the matrix.
            colorbar={
                "thickness": 10,
                "outlinewidth": 0,
                "tickformat": ".0%",
                "orientation": "h",
                "y": -0.02,
                "yanchor": "top",
            },
        )
    )
    apply_style(figure, palette, 680)
    axis = {"type": "category", "tickfont": {"size": 9}, "showgrid": False, "fixedrange": False}
    figure.update_xaxes(title="prediction", side="top", tickangle=-90, **axis)
    figure.update_yaxes(title="truth", autorange="reversed", **axis)
    figure.update_layout(dragmode="zoom")
    for _, first, last in continent_blocks(split):
        edge = {"color": palette.muted, "width": 1}
        figure.add_shape(type="rect", x0=first - 0.5, x1=last + 0.5, y0=first - 0.5, y1=last + 0.5, line=edge)
    return figure


def label_name(row: CountryScore) -> str:
    """Name of a country, or any other label as it is, escaped for Plotly."""
    return country_name(row.country) if row.continent else escape(row.country)


def confusion_order(split: SplitMetrics) -> list[CountryScore]:
    """The countries of the confusion matrix in its order: by continent, then by code."""
    present = [row for row in split.countries if row.photos or row.answers]
    return sorted(present, key=lambda row: (row.continent, row.country))


def continent_blocks(split: SplitMetrics) -> list[tuple[str, int, int]]:
    """Name, first and last row of each continent in the confusion matrix; none where the labels are no countries."""
    blocks = []
    for continent, group in groupby(enumerate(confusion_order(split)), key=lambda pair: pair[1].continent):
        rows = [number for number, _ in group]
        if not continent:
            continue
        blocks.append((CONTINENTS.get(continent, continent), rows[0], rows[-1]))
    return blocks


def reliability_diagram(before: Reliability, after: Reliability | None, palette: Palette) -> go.Figure:
    """Accuracy against probability, before and after calibration; a calibrated model follows the diagonal.

    The area of a dot is the fraction of the photos in its bin.
    """
    figure = go.Figure(
        go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", line={"color": palette.muted, "dash": "dot"}, name="perfect calibration"
        )
    )
    for number, (name, reliability) in enumerate((("before", before), ("after", after))):
        if reliability is None:
            continue
        photos = sum(b.photos for b in reliability.bins)
        figure.add_scatter(
            name=f"{name} calibration (ECE {percent(reliability.expected_calibration_error)})",
            x=[b.probability for b in reliability.bins],
            y=[b.accuracy for b in reliability.bins],
            mode="lines+markers",
            line={"color": colours(palette)[1 - number], "dash": DASHES[1 - number]},
            marker={
                "size": [5 + 40 * (b.photos / photos) ** 0.5 for b in reliability.bins],
                "symbol": SYMBOLS[1 - number],
            },
            text=[f"{b.photos} photos" for b in reliability.bins],
            hovertemplate="probability %{x:.0%}<br>right %{y:.0%}<br>%{text}<extra></extra>",
        )
    apply_style(figure, palette, 420)
    figure.update_xaxes(title="probability of the prediction", tickformat=".0%", range=[0, 1.03])
    return fraction_axis(figure, "accuracy")


def risk_coverage_curve(split: SplitMetrics, palette: Palette) -> go.Figure:
    """Fraction of wrong predictions against the fraction of photos predicted, with the fitted threshold marked."""
    points = split.risk_coverage
    figure = go.Figure(
        go.Scatter(
            name=f"AURC {split.aurc or 0:.3f}",
            x=[p.coverage for p in points],
            y=[p.risk for p in points],
            mode="lines",
            line={"color": palette.accent, "width": 2},
            customdata=[p.threshold for p in points],
            hovertemplate="answered %{x:.0%}<br>wrong %{y:.0%}<br>threshold %{customdata:.2f}<extra></extra>",
        )
    )
    chosen = split.at_threshold
    if chosen is not None and chosen.risk is not None:
        figure.add_scatter(
            name=f"threshold {chosen.threshold:.2f}: {percent(chosen.coverage)} answered, {percent(chosen.risk)} wrong",
            x=[chosen.coverage],
            y=[chosen.risk],
            mode="markers",
            marker={"size": 12, "color": colours(palette)[1], "symbol": "diamond"},
            hovertemplate="%{fullData.name}<extra></extra>",
        )
    apply_style(figure, palette, 380)
    figure.update_xaxes(title="fraction of photos answered", tickformat=".0%", range=[0, 1.02])
    return fraction_axis(figure, "fraction of wrong predictions")
