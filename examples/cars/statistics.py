"""Statistics of the data set as sections of the report: classes, makes, years, image sizes, boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from examples.cars.parts import TEST, TRAINING, VALIDATION
from triovision.reporting.sections import Cell, Plot, Section, Table
from triovision.train.data.manifest import Manifest
from triovision.train.data.statistics import size_table
from triovision.viz.classification_figures import bars
from triovision.viz.dataset_figures import size_scatter
from triovision.viz.palette import Palette

_TWO_WORD_MAKES: Final = ("AM General", "Aston Martin", "Land Rover")
_UNKNOWN: Final = "unknown"
_SHOWN_CLASSES: Final = 20


def make_of(name: str) -> str:
    """Make of a car from the name of its class: `"Audi"` of `"Audi R8 Coupe 2012"`."""
    return next((make for make in _TWO_WORD_MAKES if name.startswith(f"{make} ")), name.partition(" ")[0])


def year_of(name: str) -> str:
    """Year of a car from the name of its class, its last word; `"unknown"` where that is no year."""
    last = name.rpartition(" ")[2]
    return last if len(last) == 4 and last.isdecimal() else _UNKNOWN


def box_shares(table: pd.DataFrame, headers: pd.DataFrame) -> NDArray[np.float64]:
    """Area of the box over that of the image, `(n,)`; boxes include both of their ends."""
    box = table["bbox"].str.split(" ", expand=True).to_numpy(np.float64)
    area = (box[:, 2] - box[:, 0] + 1) * (box[:, 3] - box[:, 1] + 1)
    shares: NDArray[np.float64] = area / (headers["width"] * headers["height"]).to_numpy(np.float64)
    return shares


def statistics_sections(photos: Manifest, headers: pd.DataFrame) -> list[Section]:
    """Sections on the photos of a study; makes, years and boxes where the manifest has them.

    Args:
        photos: Manifest with the column `split`.
        headers: `width` and `height` of each photo in pixels.
    """
    sections = [_classes(photos)]
    if "bbox" in photos.table:
        makes, years = photos.labels.map(make_of), photos.labels.map(year_of)
        plots = [
            _counts_plot(makes.value_counts(), "photos", "Photos of each make."),
            _counts_plot(years.value_counts().sort_index(), "photos", "Photos of each year."),
        ]
        sections.append(Section("Makes and years", ("Both are read from the names of the classes.",), plots=plots))
    sections.append(_sizes(headers))
    if "bbox" in photos.table:
        sections.append(_boxes(box_shares(photos.table, headers)))
    return sections


def _classes(photos: Manifest) -> Section:
    counts = pd.crosstab(photos.labels, photos.table["split"]).reindex(
        columns=[TRAINING, VALIDATION, TEST], fill_value=0
    )
    totals = counts.sum(axis=1).sort_values(ascending=False, kind="stable")
    text = (
        f"{len(photos):,} photos of {len(totals)} classes: {counts[TRAINING].sum():,} to train on, "
        f"{counts[VALIDATION].sum():,} to choose the epoch and {counts[TEST].sum():,} that are measured once. "
        f"A class has {totals.min()} to {totals.max()} photos, {totals.median():g} in the median."
    )
    rows: list[list[Cell]] = [
        [str(label), *(int(n) for n in counts.loc[label]), int(total)] for label, total in totals.items()
    ]
    table = Table(("class", TRAINING, VALIDATION, TEST, "photos"), rows)
    plot = _counts_plot(
        totals.head(_SHOWN_CLASSES), "photos", f"The {min(len(totals), _SHOWN_CLASSES)} largest classes."
    )
    return Section("Classes", (text,), tables=[table], plots=[plot])


def _sizes(headers: pd.DataFrame) -> Section:
    sizes = size_table(headers)
    rows: list[list[Cell]] = [
        [str(row[0]), *(f"{value:.4g}" for value in row[1:])] for row in sizes.to_numpy().tolist()
    ]
    plot = Plot(lambda palette: size_scatter(headers, palette), "Width and height of the photos.")
    caption = "In pixels; the aspect ratio is width over height."
    return Section("Image sizes", tables=[Table([str(column) for column in sizes], rows, caption)], plots=[plot])


def _boxes(shares: NDArray[np.float64]) -> Section:
    tenth = np.minimum((shares * 10).astype(int), 9)
    counts = {f"{10 * i} to {10 * i + 10} %": int((tenth == i).sum()) for i in range(10)}
    low, median, high = np.percentile(shares, (5, 50, 95))
    text = f"The box takes {median:.0%} of the image in the median, and {low:.0%} to {high:.0%} in nine of ten photos."
    return Section("Boxes", (text,), plots=[_counts_plot(counts, "photos", "Photos by the share of the box.")])


def _counts_plot(counts: Mapping[str, int] | pd.Series, title: str, caption: str) -> Plot:
    values = {str(name): float(count) for name, count in counts.items()}

    def draw(palette: Palette) -> go.Figure:
        return bars(values, palette, title, ",d")

    return Plot(draw, caption)
