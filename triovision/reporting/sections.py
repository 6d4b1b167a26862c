"""Report page of any study: sections of text, tables, plots and pictures in one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import plotly.graph_objects as go
from PIL.Image import Image

from triovision.files import atomic_write
from triovision.reporting.page import render_page
from triovision.viz.palette import DARK, LIGHT, Palette

Cell = str | int | float | None
_LINE = 40  # characters of a cell beyond which it is broken


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; the first column and those of words are aligned to the left.

    Attributes:
        columns: Names of the columns.
        rows: Cells; None is drawn as a dash, a fraction or a mean is formatted by the caller.
        caption: Sentence below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        """Check that every row has a cell for each column."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} cells, but the table has {len(self.columns)} columns")

    def has_words(self, column: int) -> bool:
        """Whether a column holds a word, which begins with a letter as no number does."""
        cells = (row[column] for row in self.rows)
        return any(isinstance(cell, str) and cell[:1].isalpha() for cell in cells)

    def has_sentences(self, column: int) -> bool:
        """Whether a column holds words that need several lines."""
        return self.has_words(column) and max(len(str(row[column])) for row in self.rows) > _LINE


@dataclass(frozen=True, slots=True)
class Plot:
    """A Plotly figure that is drawn once for each theme.

    Attributes:
        draw: Draws the figure in the colours of a palette.
        caption: Sentence below the figure, which screen readers read in its place.
    """

    draw: Callable[[Palette], go.Figure]
    caption: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that the page holds as PNG.

    Attributes:
        image: RGB or grey.
        caption: Sentence below the image, and its alternative text.
    """

    image: Image
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its paragraphs, then tables, plots and pictures.

    Attributes:
        heading: Heading.
        text: Paragraphs.
        tables: Tables, in order.
        plots: Figures, in order.
        pictures: Images, in order.
    """

    heading: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    pictures: Sequence[Picture] = ()


def write_sections_page(path: Path, title: str, summary: str, sections: Sequence[Section]) -> Path:
    """Write a page that needs no network; every text is escaped.

    Args:
        path: HTML file to write.
        title: Title of the page.
        summary: What the study found, in a sentence or two.
        sections: Sections, in order.

    Returns:
        `path`.
    """
    plots = {_plot_id(s, p): plot for s, one in enumerate(sections) for p, plot in enumerate(one.plots)}
    pages = [{name: plot.draw(palette) for name, plot in plots.items()} for palette in (LIGHT, DARK)]
    page = render_page(
        "sections.html.j2", *pages, title=title, summary=summary, sections=sections, plot_id=_plot_id, png=_png_address
    )
    atomic_write(path, page)
    return path


def _plot_id(section: int, plot: int) -> str:
    return f"plot{section}-{plot}"


def _png_address(image: Image) -> str:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
