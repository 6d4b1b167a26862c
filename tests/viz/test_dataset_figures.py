from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from triovision.viz import dataset_figures as draw
from triovision.viz.outlines import NO_OUTLINES
from triovision.viz.palette import DARK, LIGHT, Palette


def countries(n: int) -> pd.DataFrame:
    photos = np.arange(n, 0, -1)
    return pd.DataFrame({"name": [f"Country {i}" for i in range(n)], "photos": photos, "rare": photos < 100})


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_each_of_many_countries_has_one_bar_and_the_rare_ones_are_hatched(palette: Palette) -> None:
    figure = draw.country_bars(countries(185), 100, palette)
    assert sum(len(trace.y) for trace in figure.data) == 185
    assert len({trace.xaxis for trace in figure.data}) == 3
    shapes = {
        trace.marker.pattern.shape: sum(len(t.y) for t in figure.data if t.name == trace.name) for trace in figure.data
    }
    assert shapes == {"": 86, "/": 99}
    assert sorted(trace.name for trace in figure.data if trace.showlegend) == ["common", "rare: under 100 photos"]
    assert figure.layout.paper_bgcolor == palette.background


def test_small_sources_are_added_up() -> None:
    sources = pd.DataFrame({"source": [f"s{i}" for i in range(40)], "photos": [10] * 40, "fraction": [0.025] * 40})
    bars = draw.source_bars(sources, LIGHT).data[0]
    assert (bars.y[-1], bars.x[-1], sum(bars.x)) == ("10 others", 100, 400)


def test_years_say_how_many_photos_have_none() -> None:
    years = pd.DataFrame({"year": ["2001", "2003", "unknown"], "photos": [2, 3, 5]})
    figure = draw.year_bars(years, LIGHT)
    assert list(figure.data[0].x) == [2001, 2003]
    assert "5 of 10" in figure.layout.title.subtitle.text
    assert draw.year_bars(years.iloc[2:], LIGHT).layout.annotations[0].text == "No photo has a known year"


def test_sizes_are_counted() -> None:
    headers = pd.DataFrame({"width": [4, 4, 3, np.nan], "height": [3, 3, 4, np.nan]})
    figure = draw.size_scatter(headers, LIGHT)
    assert sorted(zip(figure.data[0].x, figure.data[0].y, figure.data[0].customdata, strict=True)) == [
        (3, 4, 1),
        (4, 3, 2),
    ]
    assert "1 could not be read" in figure.layout.title.subtitle.text


def test_the_map_draws_coasts_and_positions_and_does_without_either() -> None:
    outlines = '{"type":"MultiPolygon","coordinates":[[[[0,50],[1,51],[0,50]]]]}'
    positions = pd.DataFrame({"lat": [48.8], "lon": [2.3], "country": ["FR"], "photos": [7]})
    land, marks = draw.position_map(positions, outlines, LIGHT).data
    assert (land.x, land.y) == ((0, 1, 0, None), (50, 51, 50, None))
    assert (marks.x[0], marks.y[0], marks.customdata[0][0]) == (2.3, 48.8, "France")
    assert len(draw.position_map(positions.iloc[:0], NO_OUTLINES, DARK).data[1].x) == 0


def test_the_most_frequent_countries_are_named_and_file_names_are_escaped() -> None:
    codes = ["FR"] * 5 + ["US"] * 4 + ["NA", "DE", "IT", "ES", "PT", "GB", "IE", "NL", "BE", "LU"]
    n = len(codes)
    points = pd.DataFrame({"x": range(n), "y": range(n), "country": codes, "file": ["<b>&"] * n})
    others, *named = draw.embedding_scatter(points, "UMAP", DARK).data
    assert [trace.name for trace in named[:2]] == ["France", "United States"]
    assert (others.name, len(others.x), len(named)) == ("3 other countries", 3, 9)
    assert "&lt;b>&amp;" in named[0].text[0]
