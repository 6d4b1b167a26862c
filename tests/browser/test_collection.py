"""Sixty photos with two broken ones, their exports, and a run that is stopped."""

import csv
import io
import json
import re
import zipfile
from xml.etree import ElementTree

import gpxpy
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import expect

from triovision.bundle import NODE_MODULES
from triovision.viz.collection_map import MapPhoto, collection_map
from triovision.viz.leaflet import LeafletSource, missing_files
from triovision.viz.map_style import MapOptions

from .conftest import ROOT

MAP = "iframe[title='streamlit_folium.st_folium']"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def holiday(tmp_path_factory):
    """An archive of 60 different small photos and two broken ones."""
    random = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("holiday") / "holiday.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(60):
            content = io.BytesIO()
            pixels = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((320, 240)).save(content, "JPEG")
            archive.writestr(f"trip/{number:02d}.jpg", content.getvalue())
        archive.writestr("trip/cut.jpg", content.getvalue()[:40])
        archive.writestr("trip/text.jpg", b"no photo")
    return path


@pytest.fixture
def page(open_page, serve):
    page = open_page(serve(ROOT / "app.py") + "/collection", viewport={"width": 1280, "height": 1600}, locale="en-GB")
    expect(page.get_by_text("Photos stay in the memory")).to_be_visible()  # the last line: all is drawn
    return page


@pytest.mark.skipif(bool(missing_files(NODE_MODULES)), reason="needs the npm packages: make assets")
def test_lone_photos_stay_on_the_map_when_its_smallest_zoom_changes(browser, tmp_path):
    """Four photos far from all others, on a map too wide for its first smallest zoom, which then grows."""
    places = [(-33.9, 151.2), (-22.9, -43.2), (43.1, -79.0), (35.7, 139.7), (48.9, 2.4), (48.8, 2.3)]
    photos = [MapPhoto(lat, lon, f"{lat}.jpg", "", b"\xff\xd8", sure=True) for lat, lon in places]
    source = LeafletSource(NODE_MODULES.as_uri() + "/{package}/{path}")
    collection_map(photos, MapOptions(source=source)).save(tmp_path / "map.html")
    page = browser.new_page(viewport={"width": 990, "height": 480})
    page.goto((tmp_path / "map.html").as_uri())
    for size in ({"width": 990, "height": 480}, {"width": 2100, "height": 1400}):
        page.set_viewport_size(size)
        expect(page.locator(".dot")).to_have_count(4)
        expect(page.locator(".cluster")).to_have_text("2")
    page.close()


def test_sixty_photos_are_answered_shown_and_exported(page, holiday, download):
    def export(name):
        return download(page, page.get_by_role("button", name=name, exact=True))

    page.locator("input[type=file]").first.set_input_files(holiday)
    expect(page.get_by_text("60 of 60 photos")).to_be_visible()
    expect(page.get_by_text("2 files could not be used")).to_be_visible()
    markers = page.frame_locator(MAP).locator(".dot, .cluster")
    expect(markers.first).to_be_visible()

    rows = list(csv.DictReader(io.StringIO(export("CSV").decode("utf-8-sig"))))
    names = sorted(row["name"] for row in rows)
    assert names == [f"trip/{number:02d}.jpg" for number in range(60)]
    features = json.loads(export("GeoJSON"))["features"]
    assert len(features) == 60
    by_name = {row["name"]: (float(row["lon_deg"]), float(row["lat_deg"])) for row in rows}
    for feature in features:
        assert by_name[feature["properties"]["name"]] == pytest.approx(feature["geometry"]["coordinates"][:2])
    assert len(gpxpy.parse(export("GPX").decode()).waypoints) == 60
    assert len(pd.read_parquet(io.BytesIO(export("GeoParquet")))) == 60
    with zipfile.ZipFile(io.BytesIO(export("KMZ"))) as kmz:
        assert len([name for name in kmz.namelist() if name.endswith(".jpg")]) == 60
        document = ElementTree.fromstring(kmz.read("doc.kml"))  # noqa: S314 - our own export
        assert len(document.findall(".//{http://www.opengis.net/kml/2.2}Placemark")) == 60
    with zipfile.ZipFile(io.BytesIO(export("Sorted by country (ZIP)"))) as countries:
        assert len([name for name in countries.namelist() if name.endswith(".jpg")]) == 60
    assert page.blocked == []


def test_stopping_keeps_what_is_done(page, holiday):
    page.locator("input[type=file]").first.set_input_files(holiday)
    expect(page.get_by_text(re.compile("^(8|16|24|32) photos so far"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Clear")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    kept = page.get_by_text(re.compile(r"^\d+ of \d+ photos$"))
    expect(kept).to_be_visible()
    assert 8 <= int(kept.inner_text().split()[0]) < 60
