from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
CHINA = Path(find_spec("sklearn").origin).parent / "datasets" / "images" / "china.jpg"
SLOW_MS = 120_000  # a busy machine may take this long to load PyTorch
MAP = "iframe[title='streamlit_folium.st_folium']"
pytestmark = pytest.mark.browser
SHADOW = "#c99700"  # its colour on the map


def fill(page, label, value):
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")


def has_shadow(page):
    """Whether a canvas of the map has opaque enough pixels of the colour of sunlight."""
    return (
        page.frame_locator(MAP)
        .locator("body")
        .evaluate(
            """body => [...body.querySelectorAll(".leaflet-overlay-pane canvas")].some(canvas => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            for (let i = 0; i < pixels.length; i += 4) {
                if (pixels[i + 3] > 50 && pixels[i] > 180 && pixels[i + 1] > 130 && pixels[i + 2] < 30) return true;
            }
            return false;
        })"""
        )
    )


def test_a_shadow_is_drawn_and_used_as_evidence(open_page, serve):
    page = open_page(serve(ROOT / "app.py") + "/verify", viewport={"width": 1280, "height": 1600}, locale="en-GB")
    expect(page.get_by_role("heading", level=1)).to_have_text("Is the photo really from there?", timeout=SLOW_MS)
    page.locator("input[type=file]").first.set_input_files(CHINA)
    expect(page.get_by_role("heading", name="Claimed place and time")).to_be_visible(timeout=SLOW_MS)
    expect(page.frame_locator(MAP).locator(".leaflet-marker-icon").first).to_be_visible(timeout=SLOW_MS)
    assert not has_shadow(page)

    page.locator(".st-key-shadow-open summary").click()
    # Beijing on the equinox: 13:00 UTC+8 is 05:00 UTC, the sun is about 48 degrees high.
    fill(page, "Date in UTC", "2024-03-20")
    page.get_by_label("Height of the object", exact=True).click()  # closes the calendar
    fill(page, "Height of the object", "1.11")
    fill(page, "Length of its shadow", "1")
    fill(page, "Time in UTC", "05:00")
    use = page.get_by_role("button", name="Use the shadow as evidence")
    expect(use).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_text("The sun stood 48.0° above the horizon.")).to_be_visible()
    page.wait_for_function("() => true")
    expect.poll if False else None
    use.click()
    expect(page.get_by_text("of the countries that the model knows")).to_be_visible(timeout=SLOW_MS)
