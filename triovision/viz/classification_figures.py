"""Figures of any classifier: confusion matrix and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from triovision.viz.palette import Palette
from triovision.viz.run_style import apply_style, mix, safe_names

_ROW_PX = 22


def confusion_heatmap(matrix: NDArray[np.int64], labels: Sequence[str], palette: Palette) -> go.Figure:
    """Fraction of the examples of each label (row) that were predicted as each label (column).

    Args:
        matrix: Number of examples, shape `(n, n)`: rows are the truth, columns the prediction.
        labels: Names of rows and columns.
        palette: Colours.

    Raises:
        ValueError: If the matrix has another shape.
    """
    if matrix.shape != (len(labels), len(labels)):
        raise ValueError(f"`matrix` must have shape ({len(labels)}, {len(labels)}), got {matrix.shape}")
    fractions = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    names = safe_names(labels)
    few = len(labels) <= 20  # numbers in more cells than these could not be read
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=np.where(matrix > 0, fractions, np.nan),
            customdata=matrix,
            text=np.where(matrix > 0, matrix.astype(str), "") if few else None,
            texttemplate="%{text}" if few else None,  # of a heatmap, which knows no `customdata` there
            hovertemplate="%{y} predicted as %{x}<br>%{customdata} examples, %{z:.0%}<extra></extra>",
            hoverongaps=False,
            zmin=0,
            zmax=1,
            colorscale=[[0, mix(palette.background, palette.accent, 0.18)], [1, palette.accent]],
            showscale=False,
        )
    )
    apply_style(figure, palette, min(680, 160 + _ROW_PX * len(labels)))
    axis = {"type": "category", "showgrid": False, "tickfont": {"size": 12 if few else 8}, "fixedrange": False}
    figure.update_xaxes(title="prediction", side="top", **axis)
    figure.update_yaxes(title="truth", autorange="reversed", **axis)
    figure.update_layout(dragmode="zoom")
    return figure


def bars(values: Mapping[str, float], palette: Palette, title: str, tickformat: str = ".0%") -> go.Figure:
    """Horizontal bars, in the given order from the top.

    Args:
        values: Value of each bar by its name.
        palette: Colours.
        title: Title of the axis.
        tickformat: D3 format of the values.
    """
    figure = go.Figure(
        go.Bar(
            x=list(values.values()),
            y=safe_names(values),
            orientation="h",
            marker={"color": palette.accent},
            texttemplate=f"%{{x:{tickformat}}}",
            hovertemplate=f"%{{y}}: %{{x:{tickformat}}}<extra></extra>",
        )
    )
    apply_style(figure, palette, 90 + _ROW_PX * max(1, len(values)))
    figure.update_xaxes(title=title, tickformat=tickformat, rangemode="tozero")
    figure.update_yaxes(type="category", autorange="reversed")
    return figure
