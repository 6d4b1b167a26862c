from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from playwright.sync_api import expect

from .conftest import ROOT, wait_until

CHINA = Path(find_spec("sklearn").origin).parent / "datasets" / "images" / "china.jpg"
MAP = "iframe[title='streamlit_folium.st_folium']"
pytestmark = pytest.mark.browser


@pytest.fixture
def dated_photo(tmp_path):
    """The Summer Palace with a place and a time: on the equinox at 13:00 the sun was 48 degrees high in Beijing."""
    image = Image.open(CHINA)
    exif = image.getexif()
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2024:03:20 13:00:00"
    gps = exif.get_ifd(IFD.GPSInfo)
    gps[GPS.GPSLatitudeRef], gps[GPS.GPSLatitude] = "N", (39.9, 0.0, 0.0)
    gps[GPS.GPSLongitudeRef], gps[GPS.GPSLongitude] = "E", (116.4, 0.0, 0.0)
    image.save(tmp_path / "palace.jpg", exif=exif)
    return tmp_path / "palace.jpg"


def fill(page, label, value):
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")


def sunlit_pixels(page):
    """Number of pixels of the map in the colour of the shadow's band, #c99700."""
    return (
        page.frame_locator(MAP)
        .locator("body")
        .evaluate(
            """body => [...body.querySelectorAll("canvas")].reduce((sum, canvas) => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            for (let i = 0; i < pixels.length; i += 4) {
                if (pixels[i + 3] > 50 && pixels[i] > 180 && pixels[i + 1] > 130 && pixels[i + 2] < 20) sum += 1;
            }
            return sum;
        }, 0)"""
        )
    )


def test_a_shadow_is_drawn_and_used_as_evidence(open_page, serve, dated_photo, settle):
    page = open_page(serve(ROOT / "app.py") + "/verify", viewport={"width": 1280, "height": 1600}, locale="en-GB")
    expect(page.get_by_role("heading", level=1)).to_have_text("Is the photo really from there?")
    page.locator("input[type=file]").first.set_input_files(dated_photo)
    expect(page.get_by_role("heading", name="Claimed place and time")).to_be_visible()
    expect(page.frame_locator(MAP).locator(".leaflet-marker-icon").first).to_be_visible()
    assert sunlit_pixels(page) == 0

    settle(page)
    page.locator(".st-key-shadow-open summary").click()
    fill(page, "Height of the object", "1.11")  # arc tangent of 1.11: 47.98 degrees
    settle(page)
    fill(page, "Length of its shadow", "1")
    expect(page.get_by_text("The sun stood 48.0° above the horizon.")).to_be_visible()
    band = page.frame_locator(MAP).get_by_text("Places where the shadow fits")
    expect(band).to_have_count(1)  # in the list of layers
    wait_until(page, lambda: sunlit_pixels(page) > 100)

    page.get_by_role("button", name="Use the shadow as evidence").click()
    expect(page.get_by_text("countries that the model knows.")).to_be_visible()
    expect(page.get_by_text("The claimed place does not agree with this.")).to_have_count(0)
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("countries that the model knows.")).to_have_count(0)
    assert not [line for line in page.problems if line.startswith(("exception", "dialog"))]
    assert not [url for url in page.blocked if "arcgisonline" not in url]  # no link was opened by itself
