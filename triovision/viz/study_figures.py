"""Plotly figures of several runs of one recipe: the spread of each figure over them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from triovision.viz.palette import Palette
from triovision.viz.run_style import finish, shown


def metric_spread(
    metrics: Mapping[str, Sequence[float]], runs: Sequence[str], palette: Palette, number_format: str
) -> go.Figure:
    """Each run's value as a dot; their mean as a diamond, with one standard deviation (n - 1) to either side.

    Args:
        metrics: Values by the name of the figure, in the order of `runs`; NaN where a run has none.
        runs: Names of the runs.
        palette: Colours.
        number_format: How d3 writes a value, such as `".1%"`.
    """
    names = [shown(name.replace("_", " ")) for name in metrics]
    present = [[value for value in values if not math.isnan(value)] for values in metrics.values()]
    figure = go.Figure(
        go.Scatter(
            name="one run",
            x=[value for values in metrics.values() for value in values],
            y=[name for name, values in zip(names, metrics.values(), strict=True) for _ in values],
            mode="markers",
            marker={"color": palette.muted, "size": 8, "symbol": "circle-open", "line": {"width": 2}},
            text=[shown(run) for _ in names for run in runs],
            hovertemplate=f"%{{text}}<br>%{{y}} %{{x:{number_format}}}<extra></extra>",
        )
    )
    spread = [float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for values in present]
    figure.add_scatter(
        name="mean and standard deviation",
        x=[float(np.mean(values)) if values else None for values in present],
        y=names,
        customdata=spread,
        mode="markers",
        marker={"color": palette.accent, "size": 11, "symbol": "diamond"},
        error_x={"type": "data", "array": spread, "color": palette.accent, "thickness": 2},
        hovertemplate=f"%{{y}}<br>%{{x:{number_format}}} ± %{{customdata:{number_format}}}<extra></extra>",
    )
    finish(figure, palette, 120 + 36 * len(names))
    figure.update_xaxes(tickformat=number_format)
    figure.update_yaxes(autorange="reversed")
    return figure
