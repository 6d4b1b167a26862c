"""Exports, positions and fusion, read back by other libraries."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpxpy
import pandas as pd
import pyarrow.parquet as pq
import pyexiv2
import pytest
from PIL import Image

from tests.collections.organiser.conftest import Organise
from triovision.collections.entries import make_entry
from triovision.collections.fusion import fuse
from triovision.collections.organiser import exports
from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.exports import export, write_failures
from triovision.collections.organiser.fusing import fuse_collection
from triovision.collections.organiser.photos import iter_entries, latest_model
from triovision.collections.organiser.positions import write_positions
from triovision.collections.tables import COLUMNS, table_row
from triovision.inference import GeoModel
from triovision.photo import read_photo

Export = Callable[[str], list[Path]]


@pytest.fixture
def write(out: Path, run: Organise, photos: Path) -> Export:
    run(photos)

    def invoke(form: str) -> list[Path]:
        with CollectionDatabase(out) as database:
            return export(database, latest_model(database), form, out)

    return invoke


def expected_rows(photos: Path, model: GeoModel) -> list[dict[str, Any]]:
    """Rows as the page makes them, from predictions of our own."""
    rows = []
    for path in sorted(photos.rglob("*.jpg")):
        photo = read_photo(path.read_bytes(), str(path))
        rows.append(dict.fromkeys(COLUMNS) | table_row(make_entry("", photo, model.predict([photo])[0])))
    return rows


def test_parquet_and_csv_have_the_rows_of_the_page(write: Export, photos: Path, model: GeoModel) -> None:
    expected = expected_rows(photos, model)
    (path,) = write("parquet")
    assert pq.read_table(path).to_pylist() == expected
    (path,) = write("csv")
    frame = pd.read_csv(path, encoding="utf-8-sig")
    assert list(frame.columns) == list(COLUMNS)
    assert frame["name"].tolist() == [row["name"] for row in expected]
    assert frame["lat_deg"].tolist() == [row["lat_deg"] for row in expected]
    assert frame["landmark"].isna().all()


def test_geoparquet_names_its_geometry(write: Export, photos: Path, model: GeoModel) -> None:
    (path,) = write("geoparquet")
    table, expected = pq.read_table(path), expected_rows(photos, model)
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Point"])
    lons, lats = zip(*((row["lon_deg"], row["lat_deg"]) for row in expected), strict=True)
    assert column["bbox"] == [min(lons), min(lats), max(lons), max(lats)]
    points = [struct.unpack("<BIdd", point) for point in table["geometry"].to_pylist()]
    assert points == [(1, 1, *place) for place in zip(lons, lats, strict=True)]


def test_geojson_has_the_same_rows(write: Export, photos: Path, model: GeoModel) -> None:
    (path,) = write("geojson")
    content = json.loads(path.read_text("utf-8"))
    expected = expected_rows(photos, model)
    assert [feature["properties"] for feature in content["features"]] == expected
    places = [feature["geometry"]["coordinates"] for feature in content["features"]]
    assert places == [[row["lon_deg"], row["lat_deg"]] for row in expected]


def test_gpx_and_kmz_come_in_parts(write: Export, out: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PART", 3)
    paths = write("gpx")
    assert [path.name for path in paths] == ["photos.gpx", "photos-2.gpx", "photos-3.gpx"]
    names = [point.name for path in paths for point in gpxpy.parse(path.read_text("utf-8")).waypoints]
    assert names == sorted(str(path) for path in photos.rglob("*.jpg"))
    paths = write("kmz")
    with zipfile.ZipFile(paths[0]) as archive:
        assert len(re.findall("<Placemark>", archive.read("doc.kml").decode())) == 3
        assert Image.open(io.BytesIO(archive.read("thumbnails/1.jpg"))).size == (80, 60)
    monkeypatch.setattr(exports, "PART", 100)
    assert write("gpx") == [out / "photos.gpx"]
    assert sorted(path.name for path in out.glob("*.gpx")) == ["photos.gpx"]


def test_vanished_photos_are_left_out(write: Export, run: Organise, photos: Path) -> None:
    (photos / "a" / "0.jpg").unlink()
    run(photos)
    (path,) = write("parquet")
    assert pq.read_metadata(path).num_rows == 7


def test_failures_are_listed_with_their_reasons(run: Organise, photos: Path, out: Path) -> None:
    (photos / "=note.jpg").write_text("this is no photo")
    run(photos)
    with CollectionDatabase(out) as database:
        assert write_failures(database, out / "failures.csv") == 1
    (row,) = csv.DictReader(io.StringIO((out / "failures.csv").read_text("utf-8-sig")))
    assert row["path"] == str(photos / "=note.jpg")
    assert "not a supported image format" in row["reason"]


def positions(out: Path, style: str, least: float, *, write: bool) -> list[Any]:
    with CollectionDatabase(out) as database:
        return list(write_positions(database, latest_model(database), style, least, write=write))


def xmp(path: Path) -> dict[str, str]:
    """XMP as exiv2 reads it."""
    return pyexiv2.ImageData(path.read_bytes()).read_xmp()


@pytest.mark.parametrize(("style", "name"), [("digikam", "0.jpg.xmp"), ("lightroom", "0.xmp")])
def test_sidecars_are_written_beside_the_photos_once_that_is_wanted(
    run: Organise, photos: Path, out: Path, style: str, name: str
) -> None:
    run(photos)
    before = {path: path.read_bytes() for path in photos.rglob("*.jpg")}
    assert all(one.skipped is None for one in positions(out, style, 0.0, write=False))
    assert not list(photos.rglob("*.xmp"))
    assert all(one.skipped for one in positions(out, style, 1.0, write=True))
    assert not list(photos.rglob("*.xmp"))
    written = {Path(one.target): one for one in positions(out, style, 0.0, write=True)}
    assert set(photos.rglob("*.xmp")) == set(written)
    text = (photos / "a" / name).read_text("utf-8")
    with CollectionDatabase(out) as database:
        entries = {entry.name: entry for _, entry in iter_entries(database, latest_model(database))}
    radius_m = round(entries[str(photos / "a" / "0.jpg")].answer.radius_km * 1000)
    assert f"<exif:GPSHPositioningError>{radius_m}/1<" in text
    assert {path: path.read_bytes() for path in photos.rglob("*.jpg")} == before


def test_a_sidecar_of_another_program_stays(run: Organise, photos: Path, out: Path) -> None:
    run(photos)
    theirs = photos / "a" / "0.jpg.xmp"
    theirs.write_text("<x:xmpmeta x:xmptk='Acme'/>")
    skipped = [one.skipped for one in positions(out, "digikam", 0.0, write=True) if one.skipped]
    assert skipped == ["there is a sidecar already"]
    assert theirs.read_text() == "<x:xmpmeta x:xmptk='Acme'/>"


def test_two_photos_that_would_share_a_sidecar_have_none(
    run: Organise, photos: Path, out: Path, make_jpeg: Callable[..., bytes]
) -> None:
    (photos / "a" / "0.jpeg").write_bytes(make_jpeg(77))
    run(photos)
    skipped = {one.photo for one in positions(out, "lightroom", 0.0, write=True) if one.skipped}
    assert skipped == {str(photos / "a" / "0.jpg"), str(photos / "a" / "0.jpeg")}


def test_copies_have_the_position_and_the_time_of_the_original(run: Organise, photos: Path, out: Path) -> None:
    os.utime(photos / "a" / "0.jpg", ns=(10**18, 10**18))
    run(photos)
    written = positions(out, "copy", 0.0, write=True)
    first = next(one for one in written if one.photo == str(photos / "a" / "0.jpg"))
    copy = Path(first.target)
    assert copy.is_relative_to(out)
    assert copy.stat().st_mtime_ns == 10**18
    tags = pyexiv2.ImageData(copy.read_bytes()).read_exif()
    degrees, minutes, seconds = (
        int(top) / int(bottom) for top, bottom in (part.split("/") for part in tags["Exif.GPSInfo.GPSLatitude"].split())
    )
    assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(abs(first.lat_deg), abs=1e-6)
    assert "Exif.GPSInfo.GPSHPositioningError" in tags
    original = Image.open(photos / "a" / "0.jpg")
    assert Image.open(copy).tobytes() == original.tobytes()


def test_fused_answers_are_those_of_the_page(
    run: Organise, photos: Path, out: Path, model: GeoModel, make_jpeg: Callable[..., bytes]
) -> None:
    times = ["2024:05:06 10:00:00", "2024:05:06 10:20:00", "2024:05:06 14:00:00", "2024:05:06 14:30:00"]
    for number, time in enumerate(times):
        (photos / f"t{number}.jpg").write_bytes(make_jpeg(400 + number, time))
    run(photos)
    timed = [read_photo(path.read_bytes(), str(path)) for path in sorted(photos.glob("t*.jpg"))]
    entries = [make_entry("", photo, one) for photo, one in zip(timed, model.predict(timed), strict=True)]
    expected = {entry.name: entry for entry in fuse(entries, model.card.calibration)}
    with CollectionDatabase(out) as database:
        for _ in range(2):  # a second fusion starts from the photos alone
            assert fuse_collection(database, latest_model(database), model.card.calibration) == 4
        found = {entry.name: entry for _, entry in iter_entries(database, latest_model(database))}
    assert len(found) == 12
    for name, entry in expected.items():
        assert found[name].position_origin == "fused"
        assert entry.fused is not None
        ours = {guess.country: guess.probability for guess in found[name].answer.countries}
        theirs = {guess.country: guess.probability for guess in entry.fused.countries}
        assert ours == pytest.approx(theirs, abs=2e-6)
        assert found[name].position == pytest.approx(entry.position, abs=1e-5)
        assert found[name].thumbnail_jpeg
    assert found[str(photos / "a" / "0.jpg")].position_origin == "model"
