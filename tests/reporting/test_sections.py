from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import plotly.graph_objects as go
import pytest
from PIL import Image

from triovision.reporting.sections import Picture, Plot, Section, Table, write_sections_page
from triovision.viz.palette import DARK, Palette


def dot(palette: Palette) -> go.Figure:
    return go.Figure(go.Scatter(x=[1], y=[2], name="dark" if palette == DARK else "light"))


def test_a_page_holds_its_texts_tables_plots_and_pictures(tmp_path: Path) -> None:
    sections = [
        Section("Data", ["Ten photos."], [Table(("class", "photos"), [("fox", 6), ("rest", None)], "By class.")]),
        Section("Samples", plots=[Plot(dot, "One dot.")], pictures=[Picture(Image.new("RGB", (3, 2), "red"), "Red.")]),
    ]
    page = write_sections_page(tmp_path / "report.html", "Foxes", "It learns.", sections).read_text(encoding="utf-8")
    assert "<h1>Foxes</h1>" in page
    assert "<p>Ten photos.</p>" in page
    assert '<td class="words">fox</td><td>6</td>' in page
    assert '<td class="words">rest</td><td>\N{EN DASH}</td>' in page
    (address,) = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    assert Image.open(io.BytesIO(base64.b64decode(address))).getpixel((2, 1)) == (255, 0, 0)
    (figures,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page)
    light, dark = json.loads(figures)["plot1-0"]
    assert (light["data"][0]["name"], dark["data"][0]["name"]) == ("light", "dark")
    assert 'id="plot1-0"' in page


@pytest.mark.parametrize(
    ("cells", "has_words"),
    [(["fox", None], True), ([None, "12 of 30"], False), ([3, 0.5], False), (["93.1 %", "\N{MINUS SIGN}0.2"], False)],
)
def test_words_are_told_from_numbers(cells: list[str | float | None], has_words: bool) -> None:
    assert Table(("figure",), [(cell,) for cell in cells]).has_words(0) == has_words


def test_long_words_are_broken_and_short_ones_are_not(tmp_path: Path) -> None:
    rows = [("fox", "a" * 40), ("rest", "a photo of anything else that was found near foxes")]
    section = Section("Data", tables=[Table(("class", "what it is"), rows)])
    page = write_sections_page(tmp_path / "report.html", "Foxes", "It learns.", [section]).read_text(encoding="utf-8")
    assert '<th class="words">class</th><th class="words wide">what it is</th>' in page
    assert not Table(("class", "what it is"), rows[:1]).has_sentences(1)


def test_every_text_is_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    picture = Picture(Image.new("L", (1, 1)), hostile)
    section = Section(hostile, [hostile], [Table((hostile,), [(hostile,)], hostile)], [Plot(dot, hostile)], [picture])
    page = write_sections_page(tmp_path / "report.html", hostile, hostile, [section]).read_text(encoding="utf-8")
    assert "<script>alert" not in page


def test_a_row_needs_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="a row has 1 cells, but the table has 2 columns"):
        Table(("class", "photos"), [("fox",)])
