"""Comparison page: metrics and learning curves of several country runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from triovision.files import atomic_write
from triovision.metrics.country import RunMetrics
from triovision.reporting.page import render_page
from triovision.train.evaluation.compare import NO_BEST, cell_text, group_table, run_table, seed_groups, warnings
from triovision.viz import comparison_figures
from triovision.viz.palette import DARK, LIGHT, Palette

PAGE = "comparison.html"
Cell = tuple[str | float | None, str]
_TITLES = {"top1": "top-1 accuracy", "macro_recall": "macro recall"}


def write_comparison_page(runs: Mapping[str, RunMetrics], out: Path) -> Path:
    """Write `comparison.html` into a folder; two runs are also compared country by country.

    Args:
        runs: Metrics by the name of the run.
        out: Folder of the page, created when missing.

    Returns:
        Path of the page.
    """
    table, groups = run_table(runs), seed_groups(runs)
    tables = [_page_table("Runs", table)]
    if len(groups) < len(runs):
        tables.append(_page_table("Recipes over their seeds", group_table(table, groups)))
    splits = list(dict.fromkeys(name for run in runs.values() for name in run.splits))
    light, dark = (_figures(runs, groups, splits, palette) for palette in (LIGHT, DARK))
    page = render_page(
        "comparison.html.j2",
        light,
        dark,
        names=list(runs),
        splits=splits,
        tables=tables,
        warnings=warnings(runs),
        no_best=NO_BEST,
        drawn=set(light),
    )
    atomic_write(out / PAGE, page)
    return out / PAGE


def _page_table(caption: str, table: pd.DataFrame) -> tuple[str, list[str], list[list[Cell]]]:
    """Caption, headings and rows of a sortable table; a cell is the value to sort by and the text to show."""
    rows = [
        [(None if pd.isna(value) else value, cell_text(column, value)) for column, value in row.items()]
        for row in table.to_dict("records")
    ]
    return caption, [str(column) for column in table], rows


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
