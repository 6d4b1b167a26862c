"""Cross-validation pages: the spread of every metric over the folds, and the report of each fold's run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from triovision.files import atomic_write
from triovision.metrics.country import RunMetrics
from triovision.reporting.run import write_run_page
from triovision.train.tuning.cross_validation import NOT_FRACTIONS
from triovision.viz.comparison_figures import metric_spread
from triovision.viz.figures import figures_page
from triovision.viz.palette import LIGHT

PAGE = "cv.html"


def write_cross_validation_page(recipe: str, runs: dict[str, RunMetrics], table: pd.DataFrame, folder: Path) -> Path:
    """Write `cv.html`, and `report.html` into the run folder of each fold.

    Args:
        recipe: Name of the recipe.
        runs: Metrics by the name of the run folder.
        table: See `spread_table`.
        folder: Parent of the run folders.

    Returns:
        Path of `cv.html`.
    """
    for name, metrics in runs.items():
        write_run_page(folder / name, metrics, photo_root=None)
    values = {str(row["metric"]): [float(row[name]) for name in runs] for row in table.to_dict("records")}
    fractions = {metric: of_folds for metric, of_folds in values.items() if metric not in NOT_FRACTIONS}
    others = {metric: of_folds for metric, of_folds in values.items() if metric in NOT_FRACTIONS}
    figures = {
        "Fractions": metric_spread(fractions, tuple(runs), LIGHT, ".0%"),
        "Log-likelihood": metric_spread(others, tuple(runs), LIGHT, ".2f"),
    }
    page = folder / PAGE
    atomic_write(page, figures_page(figures, f"{recipe}: {len(runs)} folds"))
    return page
