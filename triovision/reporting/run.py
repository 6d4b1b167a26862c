"""Report of one country run: metrics, learning curves, confusion, calibration and thumbnails."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from PIL import Image

from triovision.errors import PhotoError
from triovision.files import atomic_write
from triovision.metrics.country import RunMetrics
from triovision.photo import read_photo
from triovision.reporting.page import render_page
from triovision.viz import run_figures
from triovision.viz.palette import DARK, LIGHT, Palette

log = logging.getLogger(__name__)

REPORT = "report.html"
_THUMBNAIL_PX = 160


def write_run_page(folder: Path, metrics: RunMetrics, photo_root: Path | None) -> Path:
    """Write `report.html` into the folder of a run.

    Args:
        folder: Folder of the run.
        metrics: Its metrics.
        photo_root: Folder of the photos, to show thumbnails of those that the page names; None shows no photo.

    Returns:
        Path of the page.
    """
    copies = {} if photo_root is None else thumbnails(metrics, photo_root)
    atomic_write(folder / REPORT, run_page(metrics, copies))
    return folder / REPORT


def run_page(run: RunMetrics, copies: Mapping[str, bytes]) -> str:
    """Render the report of one run.

    Args:
        run: Its metrics.
        copies: JPEG thumbnails by file name; the page shows only the names of the other photos.
    """
    blocks = {}
    for name, split in run.splits.items():
        rows = len(run_figures.confusion_order(split))
        blocks[name] = [
            ("the whole world" if run.of_countries else "all labels", 0, rows - 1),
            *run_figures.continent_blocks(split),
        ]
    return render_page(
        "run.html.j2",
        _figures(run, LIGHT),
        _figures(run, DARK),
        run=run,
        rows=[("training sample", run.overfitting.training), *((k, v.scores) for k, v in run.splits.items())],
        blocks=blocks,
        thumbnails={name: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode() for name, jpeg in copies.items()},
        recipe=json.dumps(run.recipe, indent=2, ensure_ascii=False),
    )


def _figures(run: RunMetrics, palette: Palette) -> dict[str, go.Figure]:
    """Figures by their id in the template."""
    figures = {
        "loss": run_figures.loss_curves(run.epochs, palette),
        "accuracy": run_figures.accuracy_curves(run.epochs, palette),
    }
    for n, split in enumerate(run.splits.values()):
        figures[f"recall{n}"] = run_figures.recall_by_photos(split.countries, palette)
        figures[f"confusion{n}"] = run_figures.confusion_matrix(split, palette)
        if split.before is not None:
            figures[f"reliability{n}"] = run_figures.reliability_diagram(split.before, split.after, palette)
        if split.risk_coverage:
            figures[f"risk{n}"] = run_figures.risk_coverage_curve(split, palette)
    return figures


def thumbnails(metrics: RunMetrics, root: Path) -> dict[str, bytes]:
    """Make JPEG copies, at most 160 pixels a side and without EXIF, of every photo that the metrics name.

    A photo that can no longer be read is logged and left out.

    Args:
        metrics: Metrics that name the best and worst photos and examples of confusion.
        root: Folder that the file names are relative to.

    Returns:
        JPEG files by the name of the photo.
    """
    names: dict[str, None] = {}
    for split in metrics.splits.values():
        names |= dict.fromkeys(photo.file for photo in (*split.best, *split.worst))
        names |= dict.fromkeys(file for cell in split.most_confused for file in cell.examples)
    copies = {}
    for name in names:
        try:
            copies[name] = _thumbnail(root / name)
        except (OSError, PhotoError) as exc:
            log.warning("No thumbnail of %s: %s", name, exc)
    return copies


def _thumbnail(path: Path) -> bytes:
    image = Image.fromarray(read_photo(path.read_bytes(), path.name).image_hwc)
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()
