"""Plotly figures of several ResNetGPS laid side by side: values of `metrics.json` in, figures out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from triovision.geo import THRESHOLDS_KM
from triovision.metrics.position import WAYS, PositionMetrics, PositionScores
from triovision.viz.comparison_figures import seed_bars
from triovision.viz.palette import Palette
from triovision.viz.run_style import Line, colours, curves, finish, share_axis, shown

Folds = Mapping[str, Mapping[str, PositionMetrics]]
"""Metrics by the version and the name of the fold."""

#: Ways that differ from version to version.
_WITH_NETWORK = ("true_city", "candidate_cities")


def position_figures(versions: Folds, palette: Palette) -> dict[str, go.Figure]:
    """Median distance, shares within the thresholds and training curves of each version, by heading."""
    found = {}
    for way in _WITH_NETWORK:
        scores = {name: [_scores(metrics, way) for metrics in folds.values()] for name, folds in versions.items()}
        medians = {name: [score.median_km for score in of_version] for name, of_version in scores.items()}
        found[f"Median distance: {WAYS[way]}"] = seed_bars(medians, palette, "median distance in km", ",.0f")
        found[f"Shares within: {WAYS[way]}"] = threshold_bars(scores, palette)
    name, folds = next(iter(versions.items()))
    ways = {words: [_scores(metrics, way).median_km for metrics in folds.values()] for way, words in WAYS.items()}
    found[f"What each part is worth: {shown(name)}"] = seed_bars(ways, palette, "median distance in km", ",.0f")
    found["Training: median distance by epoch, mean over the folds"] = curves(
        {name: _mean_line(folds.values(), "val/median_km") for name, folds in versions.items()}, palette, "km"
    )
    found["Training: loss by epoch, mean over the folds"] = curves(
        {name: _mean_line(folds.values(), "train/loss") for name, folds in versions.items()}, palette, "training loss"
    )
    return found


def threshold_bars(versions: Mapping[str, Sequence[PositionScores]], palette: Palette) -> go.Figure:
    """Share of the photos within each threshold, a group a threshold and a bar a version, with standard deviation.

    Args:
        versions: Scores of the folds by the name of the version.
        palette: Colours.
    """
    figure = go.Figure()
    for number, (name, scores) in enumerate(versions.items()):
        shares = np.array([[getattr(score, f"within_{km}_km") for km in THRESHOLDS_KM] for score in scores])
        spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else np.zeros(shares.shape[1])
        figure.add_bar(
            name=shown(name),
            x=[f"{km:,} km" for km in THRESHOLDS_KM],
            y=shares.mean(axis=0),
            customdata=spread,
            error_y={"type": "data", "array": spread, "color": palette.text, "thickness": 1.5},
            marker={"color": colours(palette)[number % 6]},
            hovertemplate="%{x}: %{y:.1%} ± %{customdata:.1%}<extra>%{fullData.name}</extra>",
        )
    finish(figure, palette, 380)
    figure.update_layout(barmode="group", showlegend=True)
    return share_axis(figure, "share of the photos")


def _scores(metrics: PositionMetrics, way: str) -> PositionScores:
    """Of the only split of a fold."""
    return next(iter(metrics.splits.values()))[way]


def _mean_line(folds: Iterable[PositionMetrics], figure: str) -> Line:
    """Mean of a logged figure over the folds that reached the epoch."""
    values: dict[int, list[float]] = {}
    for metrics in folds:
        for epoch in metrics.epochs:
            value = epoch.values.get(figure)
            if value is not None:
                values.setdefault(epoch.epoch, []).append(value)
    epochs = sorted(values)
    return epochs, [float(np.mean(values[epoch])) for epoch in epochs]
