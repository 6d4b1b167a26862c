from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import expect

import triovision
from triovision.errors import ModelError
from triovision.geo import country_name
from triovision.ui.animations import PLAYER

from .conftest import ROOT

CHINA = Path(find_spec("sklearn").origin).parent / "datasets" / "images" / "china.jpg"
LOADED = "() => performance.getEntriesByType('resource').map(entry => entry.name)"  # addresses of files
MAP = "iframe[title='streamlit_folium.st_folium']"


@pytest.fixture(scope="module", autouse=True)
def prediction():
    """Prediction of the library for the photo that the tests drop."""
    try:
        model = triovision.load_model()
    except ModelError as error:
        pytest.skip(str(error))
    return model.predict([triovision.read_photo(CHINA.read_bytes(), CHINA.name)])[0]


@pytest.fixture
def visit(open_page, serve):
    def open_(locale="en-GB", width=1280, **options):
        page = open_page(serve(ROOT / "app.py"), viewport={"width": width, "height": 900}, locale=locale, **options)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page

    return open_


def drop(page, *files):
    """Drop files on the drop zone with a `drop` event."""
    zone = page.get_by_test_id("stFileUploaderDropzone")
    expect(zone).to_be_visible()
    contents = [[name, list(data)] for name, data in files]
    transfer = page.evaluate_handle(
        "files => files.reduce((all, [name, bytes]) => {"
        " all.items.add(new File([new Uint8Array(bytes)], name)); return all }, new DataTransfer())",
        contents,
    )
    zone.dispatch_event("drop", {"dataTransfer": transfer})


def result(page):
    heading = page.get_by_role("heading", level=2).first
    expect(heading).to_be_visible()
    return heading


@pytest.mark.skipif(not PLAYER.is_file(), reason="needs the npm packages: make assets")
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_readers_who_prefer_reduced_motion_see_a_still_picture(visit, motion):
    page = visit(reduced_motion=motion)
    drop(page, ("china.jpg", CHINA.read_bytes()))
    box = page.locator(".st-key-animation-success")
    moving, still = box.locator("svg"), box.locator("img")
    if motion == "reduce":
        expect(still).to_be_visible()
        expect(moving).to_have_count(0)
        assert not any("lottie" in address for address in page.evaluate(LOADED))
    else:
        expect(moving).to_be_visible()
        expect(still).to_be_hidden()
    assert still.evaluate("image => image.naturalWidth") > 0  # it is not broken


@pytest.mark.skipif(not PLAYER.is_file(), reason="needs the npm packages: make assets")
def test_the_page_loads_the_player_of_animations_once_and_removes_what_has_ended(visit):
    page = visit()
    for name in ("first.jpg", "second.jpg"):
        drop(page, (name, CHINA.read_bytes() + name.encode()))  # bytes behind the end make another file
        expect(page.get_by_alt_text(name, exact=True).locator("visible=true").first).to_be_visible()
        result(page)
    expect(page.locator(".st-key-animation-success svg")).to_be_attached()
    assert [address for address in page.evaluate(LOADED) if address.endswith(PLAYER.name)] == [
        page.url.split("?")[0] + f"component/triovision.ui.animations.player/{PLAYER.name}"
    ]
    expect(page.locator("[class*='st-key-animation-analysing'], .st-key-animation-loading")).to_have_count(0)
    expect(page.locator(".st-key-animation-success")).to_be_hidden()
    assert page.problems == []


def test_a_dropped_photo_is_predicted_mapped_charted_and_explained(visit, prediction):
    country = country_name(prediction.countries[0].country)
    page = visit()
    drop(page, ("china.jpg", CHINA.read_bytes()))
    expect(result(page)).to_contain_text("Not sure" if prediction.abstained else country)

    frame = page.frame_locator(MAP)
    expect(frame.locator(".leaflet-marker-icon").first).to_be_visible()

    page.get_by_role("tab", name="Probabilities").click()
    expect(page.locator(".js-plotly-plot .barlayer .bars").first).to_be_visible()
    expect(page.locator(".js-plotly-plot .polar").first).to_be_visible()
    expect(page.locator(".js-plotly-plot .heatmaplayer").first).to_be_visible()
    expect(page.locator(".js-plotly-plot .indicatorlayer .trace")).to_have_count(5)

    page.get_by_role("tab", name="Why").click()
    overlay = page.get_by_alt_text(f"Heat map for {country}")
    expect(overlay).to_be_visible()
    assert overlay.evaluate("image => image.complete && image.naturalWidth") == 640

    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_role("button", name="This prediction (JSON)")).to_be_visible()
    assert page.problems == []
    assert page.blocked == []  # the page asks no other machine for anything


def test_a_file_that_is_no_photo_is_refused_by_name_and_clear_empties_the_page(visit):
    page = visit()
    drop(page, ("china.jpg", CHINA.read_bytes()), ("<b>letter</b>.jpg", b"%PDF-1.7"))
    refusal = page.get_by_test_id("stAlert")
    expect(refusal).to_contain_text("<b>letter</b>.jpg")
    expect(refusal).to_contain_text("a PDF document")
    result(page)
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("heading", level=2)).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_of_the_window(visit, width, scheme):
    page = visit(width=width, color_scheme=scheme)
    drop(page, ("china.jpg", CHINA.read_bytes()))
    result(page)
    for tab in ("Map", "Probabilities", "Why", "Details"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(1500)
        assert page.evaluate("document.querySelector('.stMain').scrollWidth <= innerWidth"), tab


def test_a_french_browser_reads_french(visit):
    page = visit(locale="fr-CA")
    expect(page.get_by_role("heading", level=1)).to_have_text("Où cette photo a-t-elle été prise\u202f?")
    expect(page.get_by_role("button", name="Choisir des photos")).to_be_visible()


@pytest.mark.parametrize(
    ("address", "heading"),
    [("/", "Where was this photo taken?"), ("/models", "Models"), ("/about", "About TrioVision")],
)
def test_the_first_visit_of_a_server_may_be_to_any_page(open_page, serve, address, heading):
    page = open_page(serve(ROOT / "app.py", f"first visit to {address}") + address, locale="en-GB")
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.get_by_role("button", name="Français").or_(page.get_by_role("radio", name="Français"))).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav")).to_have_count(0)
    expect(page.get_by_role("link", name="Models")).to_be_visible()  # the app's own menu
    expect(page.get_by_role("dialog")).to_have_count(0)  # "page not found"
