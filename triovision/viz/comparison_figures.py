"""Plotly figures that compare several training runs: accuracy curves, seeds, folds, recall by country."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from triovision.geo import country_flag
from triovision.metrics.country import CountryScore, Epoch
from triovision.viz.palette import Palette
from triovision.viz.run_figures import label_name
from triovision.viz.run_style import apply_style, colours, curves, fraction_axis, lines, safe_name, safe_names


def overlaid_accuracy(runs: Mapping[str, Sequence[Epoch]], split: str, palette: Palette) -> go.Figure:
    """Validation top-1 accuracy of several runs by epoch.

    Args:
        runs: Logged epochs by the name of the run.
        split: Name of the validation split.
        palette: Colours.
    """
    of_split = {name: lines(epochs, "top1").get(split, ([], [])) for name, epochs in runs.items()}
    return fraction_axis(curves(of_split, palette, "top-1 accuracy"))


def seed_bars(
    groups: Mapping[str, Sequence[float]], palette: Palette, title: str, number_format: str = ".1%"
) -> go.Figure:
    """Mean and standard deviation of one metric for each recipe, with the value of each seed or fold as a tick.

    Args:
        groups: Values of the seeds or folds by the name of the recipe.
        palette: Colours.
        title: Title of the axis.
        number_format: d3 format of a value in the hover label.
    """
    names = safe_names(groups)
    spread = [float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for values in groups.values()]
    figure = go.Figure(
        go.Bar(
            x=[float(np.mean(values)) for values in groups.values()],
            y=names,
            orientation="h",
            marker={"color": palette.accent, "opacity": 0.55},
            error_x={"type": "data", "array": spread, "color": palette.text, "thickness": 1.5, "visible": any(spread)},
            hovertemplate=f"%{{y}}<br>mean %{{x:{number_format}}}<extra></extra>",
        )
    )
    figure.add_scatter(
        x=[value for values in groups.values() for value in values],
        y=[name for name, values in zip(names, groups.values(), strict=True) for _ in values],
        mode="markers",
        marker={"color": palette.text, "size": 7, "symbol": "line-ns-open"},
        hovertemplate=f"%{{y}}<br>%{{x:{number_format}}}<extra></extra>",
    )
    apply_style(figure, palette, 90 + 46 * len(groups))
    figure.update_layout(showlegend=False, bargap=0.4)
    axis_format = ".0%" if number_format.endswith("%") else number_format
    figure.update_xaxes(title=safe_name(title), tickformat=axis_format, rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def country_difference(
    first: Sequence[CountryScore], second: Sequence[CountryScore], names: tuple[str, str], palette: Palette
) -> go.Figure:
    """Recall of the second run minus recall of the first, for each country with photos in both.

    Args:
        first: Countries of the first run.
        second: Countries of the second run.
        names: Names of the two runs.
        palette: Colours.
    """
    old = {row.country: row.recall for row in first if row.recall is not None}
    rows = [(row, row.recall - old[row.country]) for row in second if row.recall is not None and row.country in old]
    rows.sort(key=lambda pair: pair[1])
    figure = go.Figure(
        go.Bar(
            x=[difference for _, difference in rows],
            y=[f"{_flag(row)}{escape(row.country)} ({row.photos})" for row, _ in rows],
            orientation="h",
            marker={"color": [palette.accent if d > 0 else colours(palette)[1] for _, d in rows]},
            hovertext=[f"{label_name(row)}: {100 * d:+.0f} points, {row.photos} photos" for row, d in rows],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    apply_style(figure, palette, 110 + 17 * len(rows))
    title = f"recall of {safe_name(names[1])} minus {safe_name(names[0])}"
    figure.update_xaxes(title=title, tickformat="+.0%", zeroline=True, zerolinecolor=palette.muted)
    figure.update_yaxes(tickfont={"size": 11}, dtick=1)
    return figure


def _flag(row: CountryScore) -> str:
    return f"{country_flag(row.country)} " if row.continent else ""


def metric_spread(
    metrics: Mapping[str, Sequence[float]], runs: Sequence[str], palette: Palette, number_format: str
) -> go.Figure:
    """Values of several metrics over the runs of one recipe: dots, mean and standard deviation (n - 1).

    Args:
        metrics: Values by the name of the metric, in the order of `runs`; NaN where a run has none.
        runs: Names of the runs.
        palette: Colours.
        number_format: d3 format of a value, such as `".1%"`.
    """
    names = [safe_name(name.replace("_", " ")) for name in metrics]
    present = [[value for value in values if not math.isnan(value)] for values in metrics.values()]
    figure = go.Figure(
        go.Scatter(
            name="one run",
            x=[value for values in metrics.values() for value in values],
            y=[name for name, values in zip(names, metrics.values(), strict=True) for _ in values],
            mode="markers",
            marker={"color": palette.muted, "size": 8, "symbol": "circle-open", "line": {"width": 2}},
            text=[safe_name(run) for _ in names for run in runs],
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
    apply_style(figure, palette, 120 + 36 * len(names))
    figure.update_xaxes(tickformat=number_format)
    figure.update_yaxes(autorange="reversed")
    return figure
