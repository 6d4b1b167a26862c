"""Dataset page of `triovision train statistics`, with its tables as CSV and its figures as HTML and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from triovision.files import atomic_write
from triovision.photo.names import spreadsheet_safe
from triovision.viz.palette import Palette

_SCRIPT = "plotly.min.js"
_WIDTH_PX = 1200
_OPEN_ROWS = 12  # a longer table starts folded


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its figure.

    Attributes:
        name: File name without suffix.
        heading: Heading on the page.
        table: Table to write as CSV; the page shows its first thousand rows.
        figure: Figure of the table, or None.
    """

    name: str
    heading: str
    table: pd.DataFrame
    figure: go.Figure | None = None


def write_dataset_page(folder: Path, title: str, sections: Sequence[Section], palette: Palette) -> None:
    """Write `index.html`, one CSV file per table and one HTML file per figure; none of them needs a network.

    The HTML files share one copy of Plotly's script.

    Args:
        folder: Folder of the files; created when missing.
        title: Heading of the page.
        sections: Sections in the order of the page.
        palette: Colours of the page, the same as those of the figures.
    """
    atomic_write(folder / _SCRIPT, get_plotlyjs())
    for section in sections:
        atomic_write(folder / f"{section.name}.csv", section.table.map(spreadsheet_safe).to_csv(index=False))
        if section.figure is not None:
            atomic_write(folder / f"{section.name}.html", section.figure.to_html(include_plotlyjs=_SCRIPT))
    body = "".join(_section_html(section) for section in sections)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_style(palette)}</style>"
        f'<script src="{_SCRIPT}"></script></head><body><h1>{escape(title)}</h1>{body}</body></html>'
    )
    atomic_write(folder / "index.html", page)


def write_pngs(folder: Path, sections: Sequence[Section]) -> str | None:
    """Write each figure as PNG, rendered by a browser.

    Returns:
        None, or one line with the reason why the browser could not render them.
    """
    drawn = [section for section in sections if section.figure is not None]
    files = [folder / f"{section.name}.png" for section in drawn]
    heights = [section.figure.layout.height for section in drawn if section.figure is not None]
    try:
        plotly.io.write_images([section.figure for section in drawn], files, width=_WIDTH_PX, height=heights, scale=2)
    except Exception as exc:  # Kaleido and its browser raise undocumented errors; the HTML is written anyway.
        reason = str(exc).strip() or type(exc).__name__
        return " ".join(reason.split())[:200]
    return None


def _section_html(section: Section) -> str:
    figure = "" if section.figure is None else section.figure.to_html(full_html=False, include_plotlyjs=False)
    rows = len(section.table)
    shown = section.table.head(1000)
    table = shown.to_html(index=False, border=0, float_format=lambda value: f"{value:,.4g}")
    more = f"the first {len(shown)} of {rows}" if rows > len(shown) else f"{rows}"
    opened = " open" if rows <= _OPEN_ROWS else ""
    return (
        f"<section><h2>{escape(section.heading)}</h2>{figure}<details{opened}><summary>Table, {more} rows "
        f'(<a href="{section.name}.csv">CSV</a>)</summary><div class="table">{table}</div></details></section>'
    )


def _style(palette: Palette) -> str:
    return (
        f"body{{background:{palette.background};color:{palette.text};max-width:{_WIDTH_PX}px;margin:2rem auto;"
        "padding:0 1rem;font-family:'Source Sans',system-ui,sans-serif}"
        f"a{{color:{palette.accent}}}summary{{cursor:pointer;padding:.5rem 0}}"
        ".table{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
        f"th,td{{padding:.25rem .75rem .25rem 0;text-align:left;border-bottom:1px solid {palette.grid}}}"
        "td{white-space:nowrap}"
    )
