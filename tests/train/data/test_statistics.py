from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from PIL.ExifTags import IFD, Base

from triovision.cli import main
from triovision.train.data import statistics as s
from triovision.train.data.manifest import read_manifest

TABLE = pd.DataFrame(
    {
        "file": [f"{n}.jpg" for n in range(8)],
        "country": ["FR", "FR", "FR", "FR", "NA", "NA", "US", "US"],
        "place": ["p", "p", "q", "", "r", "r", "s", "s"],
        "source": ["x", "x", "y", "", "x", "x", "y", "y"],
        "lat": [48.81, 48.82, np.nan, 0, 1, 1, 2, 2],
        "lon": [2.31, 2.32, np.nan, 0, 1, 1, 2, 2],
    }
)


def test_countries_are_counted_and_rare_ones_marked() -> None:
    found = s.country_table(TABLE, rare_below=3)
    assert found[["country", "name", "continent", "photos", "fraction", "places", "rare"]].to_numpy().tolist() == [
        ["FR", "France", "Europe", 4, 0.5, 2, False],
        ["NA", "Namibia", "Africa", 2, 0.25, 1, True],
        ["US", "United States", "North America", 2, 0.25, 1, True],
    ]
    assert s.continent_table(found)[["continent", "photos"]].iloc[0].tolist() == ["Europe", 4]


def test_the_balance_is_that_of_the_formulas() -> None:
    found = s.imbalance_table(s.country_table(TABLE, rare_below=3)).set_index("measure")["value"]
    assert found["imbalance ratio"] == 2
    # Entropy of 1/2, 1/4, 1/4: 1.5 bits.
    assert found["effective countries"] == pytest.approx(2**1.5)
    assert found["fraction of photos in rare countries"] == 0.5


def test_sources_and_positions() -> None:
    assert s.source_table(TABLE)[["source", "photos", "countries"]].to_numpy().tolist() == [
        ["x", 4, 2],
        ["y", 3, 2],
        ["unknown", 1, 1],
    ]
    positions = s.position_table(TABLE)
    assert len(positions) == 4
    assert positions["photos"].sum() == 7
    assert positions.loc[positions["lat"] == 48.8, ["lon", "photos"]].to_numpy().tolist() == [[2.3, 2]]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A photo taken in 2019 with the camera held upright, one without EXIF, and a text."""
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2019:05:06 07:08:09"
    Image.new("RGB", (40, 30)).save(tmp_path / "0.jpg", exif=exif)
    Image.new("RGB", (50, 20)).save(tmp_path / "1.png")
    (tmp_path / "2.jpg").write_text("no photo")
    path = tmp_path / "manifest.csv"
    path.write_text("file,country,lat,lon\n0.jpg,NA,-22.5,17\n1.png,FR,,\n2.jpg,FR,48,2\n")
    return path


def test_headers_give_the_upright_size_and_the_year(manifest: Path) -> None:
    calls: list[int] = []
    headers = s.read_headers(read_manifest(manifest), lambda: calls.append(1))
    np.testing.assert_array_equal(headers, [[30, 40, 2019], [50, 20, np.nan], [np.nan] * 3])
    assert len(calls) == 3
    sizes = s.size_table(headers).set_index("measure")
    assert sizes.loc["shorter side", ["min", "max"]].tolist() == [20, 30]
    assert sizes.loc["aspect ratio", "max"] == 2.5


def test_a_column_goes_before_the_camera() -> None:
    headers = pd.DataFrame({"year": [2019.0, 2019.0, 2019.0, np.nan]})
    table = pd.DataFrame({"taken_at": ["2001-02-03T04:05:06", "", "x", "12345"], "year": ["", "", "1999", ""]})
    years = s.years(table, headers)
    assert s.year_table(years).to_numpy().tolist() == [["1999", 1], ["2001", 1], ["2019", 1], ["unknown", 1]]


def test_the_command_writes_tables_figures_and_a_page_that_needs_no_network(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_browser(*_: object, **__: object) -> None:
        raise RuntimeError("no browser\nhere")

    monkeypatch.setattr("plotly.io.write_images", no_browser)
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["train", "statistics", str(manifest), "--out", str(out), "--rare", "2"])
    assert done.exit_code == 0, done.output
    assert "no PNG images: no browser here" in done.output
    assert "1 photos cannot be read" in done.output
    countries = pd.read_csv(out / "countries.csv", keep_default_na=False)
    assert countries[["country", "photos", "rare"]].to_numpy().tolist() == [["FR", 2, False], ["NA", 1, True]]
    page = (out / "index.html").read_text()
    assert '<script src="plotly.min.js">' in page
    assert (out / "plotly.min.js").stat().st_size > 1_000_000
    for name in ("countries", "continents", "years", "sizes", "positions"):
        assert f"{name}.csv" in page
        assert "https://cdn" not in (out / f"{name}.html").read_text()
