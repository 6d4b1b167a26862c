"""Benchmark page of the ResNetGPS architectures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go

from triovision.files import atomic_write
from triovision.train.tuning.position_benchmark import VersionMetrics
from triovision.viz.figures import figures_page
from triovision.viz.palette import LIGHT
from triovision.viz.position_figures import position_figures

PAGE = "benchmark.html"


def write_benchmark_page(versions: VersionMetrics, folder: Path, more_figures: Mapping[str, go.Figure]) -> Path:
    """Write `benchmark.html`.

    Args:
        versions: Metrics by the version and the name of the fold.
        folder: Folder of the page.
        more_figures: Figures for the end of the page, by heading.

    Returns:
        Path of the page.
    """
    figures = position_figures(versions, LIGHT) | dict(more_figures)
    folds = len(next(iter(versions.values())))
    page = folder / PAGE
    atomic_write(page, figures_page(figures, f"ResNetGPS: {len(versions)} architectures, {folds} folds"))
    return page
