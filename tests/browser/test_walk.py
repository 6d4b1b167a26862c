"""One photo on one loaded page: tabs, the map between them, a box as evidence, language, theme, and the network."""

import re

import pytest
from playwright.sync_api import expect

import triovision
from triovision.errors import ModelError
from triovision.geo import country_name
from triovision.ui.examples import EXAMPLE

from .conftest import ROOT, wait_until

MAP = "iframe[title='streamlit_folium.st_folium']"
VIEW = "() => [map.getCenter().lat, map.getCenter().lng, map.getZoom()]"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def prediction():
    try:
        model = triovision.load_model()
    except ModelError as error:
        pytest.skip(str(error))
    return model.predict([triovision.read_photo(EXAMPLE.read_bytes(), EXAMPLE.name)])[0]


@pytest.fixture(scope="module")
def answered(open_shared_page, serve, prediction, settle):
    """A page with the answer to the example photo."""
    assert prediction.countries  # there is a model
    page = open_shared_page(
        serve(ROOT / "app.py"), viewport={"width": 1280, "height": 1500}, locale="en-GB", color_scheme="light"
    )
    page.get_by_role("button", name="Try an example").click()
    expect(page.frame_locator(MAP).locator(".leaflet-marker-icon").first).to_be_visible()
    settle(page)
    return page


@pytest.fixture
def page(answered, settle):
    """That page with the tab of the map open."""
    settle(answered)
    answered.get_by_role("tab", name="Map").click()
    settle(answered)
    return answered


@pytest.fixture
def leaflet(page):
    """Runs JavaScript in the frame of the map; of two maps in the newer, as the old one leaves after it has come."""
    return lambda script: page.frame_locator(MAP).last.locator("body").evaluate(script)


def drag(page, start, end):
    """Drag from one point of the map's frame to another, in pixels from its upper left corner."""
    box = page.locator(MAP).bounding_box()
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=5)
    page.mouse.up()
    page.wait_for_timeout(1000)  # the map glides on


def open_tab(page, name, settle):
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
    settle(page)


def choose_more_countries(page, settle, before):
    """Press the right arrow on the slider, and wait for the charts."""
    slider = page.get_by_role("slider", name="Number of countries")
    expect(page.locator(".js-plotly-plot .indicatorlayer .trace")).to_have_count(before)
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".js-plotly-plot .indicatorlayer .trace")).to_have_count(before + 1)
    settle(page)


def choose_country(page, country, settle):
    page.get_by_role("combobox", name="Country").click()
    page.get_by_role("option", name=country).click()
    expect(page.get_by_alt_text(f"Heat map for {country}")).to_be_visible()
    settle(page)


def test_the_map_stays_as_it_was_left_whatever_the_other_tabs_do(page, leaflet, prediction, settle):
    frame = page.frame_locator(MAP)
    frame.locator(".sure, .unsure, .landmark").first.click()
    popup = frame.locator(".leaflet-popup-content")
    expect(popup).to_be_visible()
    settle(page)
    first = leaflet(VIEW)
    frame.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(1000)
    drag(page, (700, 420), (640, 380))
    text, left = popup.inner_text(), leaflet(VIEW)
    assert all(before != after for before, after in zip(first, left, strict=True))
    open_tab(page, "Probabilities", settle)
    choose_more_countries(page, settle, before=5)
    open_tab(page, "Why", settle)
    choose_country(page, country_name(prediction.countries[1].country), settle)
    open_tab(page, "Details", settle)
    open_tab(page, "Map", settle)
    assert leaflet(VIEW) == left
    assert leaflet("() => map._popup.isOpen()")
    assert popup.inner_text() == text


def test_a_box_drawn_on_the_map_is_evidence(page, leaflet, settle):
    frame = page.frame_locator(MAP)
    title = page.get_by_role("heading", level=2).first.inner_text()
    leaflet("() => void map.closePopup().setView([46.5, 2.5], 5, {animate: false})")
    frame.get_by_title("Draw a rectangle").click()
    corner = "map.latLngToContainerPoint"
    (x0, y0), (x1, y1) = leaflet(f"() => [[48.8, 0.5], [44.5, 4.5]].map(at => {corner}(at)).map(at => [at.x, at.y])")
    drag(page, (x0, y0), (x1, y1))
    button = page.get_by_role("button", name="Search only inside the rectangle")
    expect(button).to_be_visible()
    settle(page)  # a click while the page is drawn anew would be lost
    button.click()
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("Restricted to what you know")
    # A busy browser may leave out the last steps of the drag, and then the box is smaller.
    south, north, west, east = map(float, re.findall(r"([\d.]+)°", alert.inner_text()))
    assert (north, west) == pytest.approx((48.8, 0.5), abs=0.1)
    assert 44.4 < south < 48
    assert 1 < east < 4.6
    expect(page.get_by_role("heading", level=2).first).to_contain_text("France")
    settle(page)
    places = "layer => { if (layer._icon?.matches('.sure, .unsure, .landmark')) pin = layer.getLatLng() }"
    inside = f"pin?.lat > {south} && pin.lat < {north} && pin.lng > {west} && pin.lng < {east}"
    script = f"() => {{ let pin; window.map?.eachLayer({places}); return {inside} }}"
    wait_until(page, lambda: leaflet(script))  # the title changes before the map does
    page.get_by_role("button", name="Remove the restriction").click()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    expect(page.get_by_role("heading", level=2).first).to_have_text(title)


def test_the_language_changes_and_the_answer_stays(page, settle):
    page.get_by_role("radio", name="Français").click()
    title = "Où cette photo a-t-elle été prise\u202f?"
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("tab", name="Probabilités")).to_be_visible()
    settle(page)  # the old map leaves after the new one has come
    expect(page.frame_locator(MAP).get_by_role("button", name="Zoom avant")).to_be_visible()
    page.get_by_role("radio", name="English").click()
    expect(page.get_by_role("tab", name="Probabilities")).to_be_visible()
    settle(page)


def test_page_and_map_follow_the_theme_of_the_system(page, leaflet, settle):
    def colours():
        ground = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
        return page.evaluate(ground), leaflet("() => getComputedStyle(map.getContainer()).backgroundColor")

    assert colours() == ("rgb(252, 251, 249)", "rgb(211, 227, 234)")
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(18, 24, 27)")
    sea = page.frame_locator(MAP).last.locator("#map_div")  # the old map leaves after the new one has come
    expect(sea).to_have_css("background-color", "rgb(23, 34, 41)")
    page.emulate_media(color_scheme="light")
    expect(sea).to_have_css("background-color", "rgb(211, 227, 234)")
    settle(page)


def test_no_page_asks_another_machine_until_tiles_are_chosen(page, settle):
    for name in page.get_by_test_id("stTopNavLink").all_inner_texts():
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_test_id("stTopNavLink").filter(has_text=name)).to_have_attribute("aria-current", "page")
        settle(page)
    assert page.blocked == []
    page.get_by_role("link", name="Locate a photo").click()
    frame = page.frame_locator(MAP)
    frame.locator(".leaflet-control-layers").hover()
    with page.expect_event("requestfailed", lambda request: "World_Imagery" in request.url):
        frame.get_by_text("Satellite").click()
    page.wait_for_timeout(1000)
    tiles = "https://server.arcgisonline.com/ArcGIS/rest/services/World_Imagery/MapServer/tile/"
    assert {url for url in page.blocked if not url.startswith(tiles)} == set()
    assert not [line for line in page.problems if "_stcore" not in line and "arcgisonline" not in line]
