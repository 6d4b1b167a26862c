from __future__ import annotations

from pathlib import Path

import pandas as pd

from triovision.reporting.dataset import Section, write_dataset_page
from triovision.viz import dataset_figures as draw
from triovision.viz.palette import LIGHT


def test_the_page_escapes_what_the_manifest_says(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["<script>alert(1)</script>"], "photos": [1], "fraction": [1.0]})
    sections = [Section("sources", "Sources", table, draw.source_bars(table, LIGHT))]
    write_dataset_page(tmp_path, "<i>", sections, LIGHT)
    page = (tmp_path / "index.html").read_text()
    assert "<script>alert" not in page
    assert "<h1>&lt;i&gt;</h1>" in page


def test_the_tables_run_no_formula_and_keep_their_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["=1+1"], "photos": [1], "x": [-1.5]})
    write_dataset_page(tmp_path, "Photos", [Section("sources", "Sources", table)], LIGHT)
    assert (tmp_path / "sources.csv").read_text().splitlines() == ["source,photos,x", "'=1+1,1,-1.5"]
