"""Comparison page: metrics and learning curves of several country runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from triovision.metrics.country import RunMetrics
from triovision.reporting.page import PageTable, render_page
from triovision.viz import DARK, LIGHT, Palette, comparison_figures

_TITLES = {"top1": "top-1 accuracy", "macro_recall": "macro recall"}


def comparison_page(
    runs: Mapping[str, RunMetrics],
    groups: Mapping[str, Sequence[str]],
    tables: Sequence[PageTable],
    warnings: Sequence[str],
) -> str:
    """Render the comparison of several runs; two runs are also compared country by country.

    Args:
        runs: Metrics by the name of the run.
        groups: Names of the runs that differ only in their seed, by the name of their recipe.
        tables: Tables to show.
        warnings: Reasons why the runs are hard to compare.
    """
    splits = list(dict.fromkeys(name for run in runs.values() for name in run.splits))
    light, dark = (_figures(runs, groups, splits, palette) for palette in (LIGHT, DARK))
    return render_page(
        "comparison.html.j2",
        light,
        dark,
        names=list(runs),
        splits=splits,
        tables=[(table.caption, table.columns, table.rows) for table in tables],
        warnings=warnings,
        drawn=set(light),
    )


def _figures(
    runs: Mapping[str, RunMetrics], groups: Mapping[str, Sequence[str]], splits: Sequence[str], palette: Palette
) -> dict[str, go.Figure]:
    """Figures by their id in the template."""
    figures = {}
    for n, split in enumerate(splits):
        with_split = {name: run for name, run in runs.items() if split in run.splits}
        for name, metric in (("top1", "top1"), ("recall", "macro_recall")):
            values = _group_values(with_split, groups, split, metric)
            figures[f"{name}_{n}"] = comparison_figures.seed_bars(values, palette, _TITLES[metric])
        curves = {name: run.epochs for name, run in with_split.items()}
        figures[f"curves_{n}"] = comparison_figures.overlaid_accuracy(curves, split, palette)
        if len(runs) == len(with_split) == 2:
            (old, first), (new, second) = with_split.items()
            countries = first.splits[split].countries, second.splits[split].countries
            figures[f"difference_{n}"] = comparison_figures.country_difference(*countries, (old, new), palette)
    return figures


def _group_values(
    runs: Mapping[str, RunMetrics], groups: Mapping[str, Sequence[str]], split: str, metric: str
) -> dict[str, list[float]]:
    """Values of a metric by group; groups without any value are left out."""
    values = {
        group: [getattr(runs[name].splits[split].scores, metric) for name in members if name in runs]
        for group, members in groups.items()
    }
    known = {group: [value for value in of_group if value is not None] for group, of_group in values.items()}
    return {group: of_group for group, of_group in known.items() if of_group}
