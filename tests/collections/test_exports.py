from __future__ import annotations

import importlib
import io
import json
import struct
import warnings
import zipfile
from datetime import UTC, datetime

import gpxpy
import pandas as pd
import pyarrow.parquet as pq
import pytest

from triovision.collections.entries import CollectionEntry, CorrectedPosition
from triovision.collections.exports import (
    GPX_EXTENSIONS,
    to_country_zip,
    to_geojson,
    to_geoparquet,
    to_gpx,
    to_kmz,
)
from triovision.collections.tables import COLUMNS
from triovision.guesses import CountryGuess
from triovision.ui.translation import get_translator

CUZCO, PARIS = (-13.52264, -71.967339), (48.8566, 2.3522)


def refuse_constants(text: str) -> float:
    raise AssertionError(f"{text} is no JSON")


def test_geojson_keeps_the_rules_of_rfc_7946(entries: list[CollectionEntry]) -> None:
    content = json.loads(to_geojson(entries), parse_constant=refuse_constants)
    assert content.keys() == {"type", "features"}
    assert content["type"] == "FeatureCollection"
    for feature, (lat_deg, lon_deg) in zip(content["features"], [CUZCO, CUZCO, PARIS], strict=True):
        assert feature.keys() == {"type", "geometry", "properties"}
        assert feature["type"] == "Feature"
        assert feature["geometry"] == {"type": "Point", "coordinates": [lon_deg, lat_deg]}
        assert list(feature["properties"]) == list(COLUMNS)
    sure, unsure, corrected = (feature["properties"] for feature in content["features"])
    assert (sure["abstained"], unsure["abstained"], corrected["abstained"]) == (False, True, False)
    assert unsure["probability"] == 0.2
    assert corrected["probability"] is None
    assert corrected["position_origin"] == "hand"


def test_geojson_of_nothing_is_an_empty_collection() -> None:
    assert json.loads(to_geojson([])) == {"type": "FeatureCollection", "features": []}


def test_gpx_has_way_points_with_uncertainty(entries: list[CollectionEntry]) -> None:
    sure, unsure, corrected = gpxpy.parse(to_gpx(entries)).waypoints
    assert (sure.latitude, sure.longitude, sure.name) == (*CUZCO, "trip/a.jpg")
    assert sure.time == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert "Half of the probability lies within 42 km of this point, and 90% within 310 km." in sure.description
    assert {element.tag: element.text for element in sure.extensions} == {
        f"{{{GPX_EXTENSIONS}}}radius_km": "42.5",
        f"{{{GPX_EXTENSIONS}}}radius_90_km": "310.0",
        f"{{{GPX_EXTENSIONS}}}probability": "0.93",
        f"{{{GPX_EXTENSIONS}}}abstained": "false",
    }
    assert unsure.name.endswith("(not sure)")
    assert "Not sure" in unsure.description
    assert unsure.time is None  # the camera's clock has no offset
    assert "2024-05-06 23:30:00" in unsure.description
    assert {element.text for element in unsure.extensions} >= {"true", "0.2"}
    assert (corrected.latitude, corrected.longitude, corrected.type) == (*PARIS, "hand")
    assert "Position entered by hand" in corrected.description


def test_geoparquet_has_points_and_their_metadata(entries: list[CollectionEntry]) -> None:
    data = to_geoparquet(entries)
    geo = json.loads(pq.read_schema(io.BytesIO(data)).metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Point"])
    assert column["bbox"] == [CUZCO[1], CUZCO[0], PARIS[1], PARIS[0]]
    frame = pd.read_parquet(io.BytesIO(data))
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    for wkb, (lat_deg, lon_deg) in zip(frame["geometry"], [CUZCO, CUZCO, PARIS], strict=True):
        assert len(wkb) == 21
        assert wkb[0] == 1
        assert int.from_bytes(wkb[1:5], "little") == 1
        assert struct.unpack("<2d", wkb[5:]) == (lon_deg, lat_deg)
    assert frame["abstained"].tolist() == [False, True, False]


def test_geoparquet_of_nothing_is_readable() -> None:
    data = to_geoparquet([])
    assert json.loads(pq.read_schema(io.BytesIO(data)).metadata[b"geo"])["columns"]["geometry"]["geometry_types"] == []
    assert len(pd.read_parquet(io.BytesIO(data))) == 0


@pytest.fixture(scope="module")
def fastkml():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would like lxml
        return importlib.import_module("fastkml")


def test_kmz_is_read_by_another_library(entries: list[CollectionEntry], fastkml) -> None:
    with zipfile.ZipFile(io.BytesIO(to_kmz(entries))) as archive:
        assert archive.namelist() == ["doc.kml", "thumbnails/1.jpg", "thumbnails/2.jpg", "thumbnails/3.jpg"]
        assert archive.read("thumbnails/2.jpg") == entries[1].thumbnail_jpeg
        kml = fastkml.KML.from_string(archive.read("doc.kml").decode(), strict=True)
    document = kml.features[0]
    assert {style.id for style in document.styles} == {"answer", "unsure", "corrected"}
    sure, unsure, corrected = document.features
    assert [place.style_url.url for place in document.features] == ["#answer", "#unsure", "#corrected"]
    assert sure.geometry.coords == ((CUZCO[1], CUZCO[0]),)
    assert sure.times.timestamp.dt == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert unsure.times.timestamp.dt.isoformat() == "2024-05-06"
    assert 'src="thumbnails/1.jpg"' in sure.description
    assert "Peru · Cuzco" in sure.description
    # The name is plain text in KML; the balloon is HTML.
    assert unsure.name == entries[1].name + " (not sure)"
    assert "<script" not in unsure.description
    data = {item.name: item.value for item in unsure.extended_data.elements}
    assert (data["abstained"], data["probability"]) == ("true", "0.2")
    assert "Position entered by hand" in corrected.description


def test_kmz_speaks_the_language_of_the_reader(entries: list[CollectionEntry]) -> None:
    with zipfile.ZipFile(io.BytesIO(to_kmz(entries, get_translator("fr")))) as archive:
        text = archive.read("doc.kml").decode()
    assert "Pérou · Cuzco" in text
    assert "Position saisie à la main" in text
    assert "entered by hand" not in text


def test_kml_elements_are_in_the_order_of_the_schema(entries: list[CollectionEntry]) -> None:
    with zipfile.ZipFile(io.BytesIO(to_kmz(entries[:1]))) as archive:
        text = archive.read("doc.kml").decode().partition("<Placemark>")[2]
    order = ["<name>", "<description>", "<TimeStamp>", "<styleUrl>", "<ExtendedData>", "<Point>"]
    assert sorted(order, key=text.index) == order


def test_originals_are_sorted_by_country(make_entry, entries: list[CollectionEntry]) -> None:
    others = [
        make_entry("other/A.JPG"),
        make_entry("..\\..\\con.jpg"),
        make_entry("sea.jpg", corrected=CorrectedPosition(0, -30, "hand")),
        make_entry("ivory.jpg", countries=(CountryGuess("CI", 0.9),)),
    ]
    everything = entries + others
    content = io.BytesIO()
    faults = to_country_zip(everything, lambda entry: entry.name.encode(), content)
    assert faults == []
    with zipfile.ZipFile(content) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert [archive.read(name).decode() for name in names] == [entry.name for entry in everything]
    assert names == [
        "Peru/a.jpg",
        "Not sure/=1+1_script_&_']]_.jpg",
        "France/c.jpg",
        "Peru/A (2).JPG",
        "Peru/_con.jpg",
        "High seas/sea.jpg",
        "Côte d\N{RIGHT SINGLE QUOTATION MARK}Ivoire/ivory.jpg",
    ]


def test_an_original_that_is_gone_is_reported_and_the_rest_goes_on(entries: list[CollectionEntry]) -> None:
    def read(entry: CollectionEntry) -> bytes:
        if entry.name == "trip/a.jpg":
            raise FileNotFoundError
        return b"x"

    content = io.BytesIO()
    faults = to_country_zip(entries, read, content)
    assert [(fault.subject, fault.reason) for fault in faults] == [("trip/a.jpg", "its file cannot be read any more")]
    with zipfile.ZipFile(content) as archive:
        assert len(archive.namelist()) == 2
