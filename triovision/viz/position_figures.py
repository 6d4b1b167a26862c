"""Plotly figures that compare ResNetGPS versions: distances, fractions within thresholds, training curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from triovision.geo import THRESHOLDS_KM
from triovision.metrics.position import METHODS, NETWORK_METHODS, PositionMetrics, PositionScores
from triovision.viz.comparison_figures import seed_bars
from triovision.viz.palette import Palette
from triovision.viz.run_style import Line, apply_style, colours, curves, fraction_axis, safe_name

Folds = Mapping[str, Mapping[str, PositionMetrics]]
"""Metrics by the version and the name of the fold."""


def position_figures(versions: Folds, palette: Palette) -> dict[str, go.Figure]:
    """Median distance, fractions within the thresholds and training curves of each version, by heading."""
    figures = {}
    for mode in NETWORK_METHODS:
        scores = {name: [_scores(metrics, mode) for metrics in folds.values()] for name, folds in versions.items()}
        medians = {name: [score.median_km for score in of_version] for name, of_version in scores.items()}
        figures[f"Median distance: {METHODS[mode]}"] = seed_bars(medians, palette, "median distance in km", ",.0f")
        figures[f"Fractions within: {METHODS[mode]}"] = threshold_bars(scores, palette)
    name, folds = next(iter(versions.items()))
    modes = {text: [_scores(metrics, mode).median_km for metrics in folds.values()] for mode, text in METHODS.items()}
    figures[f"Contribution of each part: {safe_name(name)}"] = seed_bars(
        modes, palette, "median distance in km", ",.0f"
    )
    figures["Training: median distance by epoch, mean over the folds"] = curves(
        {name: _mean_line(folds.values(), "val/median_km") for name, folds in versions.items()}, palette, "km"
    )
    figures["Training: loss by epoch, mean over the folds"] = curves(
        {name: _mean_line(folds.values(), "train/loss") for name, folds in versions.items()}, palette, "training loss"
    )
    return figures


def threshold_bars(versions: Mapping[str, Sequence[PositionScores]], palette: Palette) -> go.Figure:
    """Fraction of the photos within each threshold: one group per threshold, one bar per version.

    Whiskers are standard deviations over the folds.

    Args:
        versions: Scores of the folds by the name of the version.
        palette: Colours.
    """
    figure = go.Figure()
    for number, (name, scores) in enumerate(versions.items()):
        fractions = np.array([[getattr(score, f"within_{km}_km") for km in THRESHOLDS_KM] for score in scores])
        spread = fractions.std(axis=0, ddof=1) if len(fractions) > 1 else np.zeros(fractions.shape[1])
        figure.add_bar(
            name=safe_name(name),
            x=[f"{km:,} km" for km in THRESHOLDS_KM],
            y=fractions.mean(axis=0),
            customdata=spread,
            error_y={"type": "data", "array": spread, "color": palette.text, "thickness": 1.5},
            marker={"color": colours(palette)[number % 6]},
            hovertemplate="%{x}: %{y:.1%} ± %{customdata:.1%}<extra>%{fullData.name}</extra>",
        )
    apply_style(figure, palette, 380)
    figure.update_layout(barmode="group", showlegend=True)
    return fraction_axis(figure, "fraction of the photos")


def _scores(metrics: PositionMetrics, mode: str) -> PositionScores:
    """Scores of the only split of a fold."""
    return next(iter(metrics.splits.values()))[mode]


def _mean_line(folds: Iterable[PositionMetrics], metric: str) -> Line:
    """Mean of a logged metric over the folds that reached the epoch."""
    values: dict[int, list[float]] = {}
    for metrics in folds:
        for epoch in metrics.epochs:
            value = epoch.values.get(metric)
            if value is not None:
                values.setdefault(epoch.epoch, []).append(value)
    epochs = sorted(values)
    return epochs, [float(np.mean(values[epoch])) for epoch in epochs]
