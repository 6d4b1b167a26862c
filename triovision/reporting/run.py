"""Measure a finished run and write what it leaves behind: `metrics.json` and `report.html`."""

from __future__ import annotations

from pathlib import Path

from triovision.files import atomic_write
from triovision.reporting.thumbnails import thumbnails
from triovision.train.data.manifest import Manifest
from triovision.train.engine.run_folder import CountryRun
from triovision.train.evaluation.country import write_run_metrics
from triovision.viz.report_page import run_page

REPORT = "report.html"


def write_report(run: CountryRun, manifest: Manifest, wanted_accuracy: float, workers: int, show_photos: bool) -> Path:
    """Measure a run and write `metrics.json` and `report.html` into its folder.

    Args:
        run: See `read_country_run`.
        manifest: The manifest that it was trained on.
        wanted_accuracy: Wanted share of right answers among those that are not abstained.
        workers: Processes that decode photos.
        show_photos: Whether the page shows small copies of the photos that it names.

    Returns:
        The page.

    Raises:
        RecipeError: See `measure`.
    """
    metrics = write_run_metrics(run, manifest, wanted_accuracy, workers)
    pictures = thumbnails(metrics, manifest.root) if show_photos else {}
    atomic_write(run.folder / REPORT, run_page(metrics, pictures).encode())
    return run.folder / REPORT
