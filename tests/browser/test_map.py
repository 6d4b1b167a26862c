from pathlib import Path

import pytest
from playwright.sync_api import expect

from triovision.bundle import NODE_MODULES
from triovision.viz.leaflet import missing_files

from .conftest import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(missing_files(NODE_MODULES)), reason="needs the npm packages: make assets"),
]
PAGE = Path(__file__).with_name("map_page.py")
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}


class Map:
    """The map's frame on a page."""

    def __init__(self, page):
        self.page = page
        self.frame = page.frame_locator("iframe[title='streamlit_folium.st_folium']")

    def run(self, expression):
        """The value of a JavaScript expression in the map's frame."""
        return self.frame.locator("body").evaluate(f"() => {expression}")

    @property
    def view(self):
        return self.run("[map.getCenter().lat, map.getCenter().lng, map.getZoom()]")

    def settle(self):
        self.frame.locator("body").evaluate(
            "() => new Promise(done => { const at = () => map.getCenter() + map.getZoom() + map._animatingZoom;"
            " let last = '', same = 0; const tick = () => { same = at() === last ? same + 1 : 0; last = at();"
            " same > 20 ? done() : requestAnimationFrame(tick); }; tick(); })"
        )


@pytest.fixture
def open_map(open_page, serve):
    def open_(query="", viewport=WIDE, **options):
        page = open_page(f"{serve(PAGE)}/{query}", viewport=viewport, **options)
        return Map(page)

    return open_


def fills_with_land(map_, least=0.0, most=1.0):
    """Wait until the outlines, which arrive after the map, fill this fraction of their canvas."""
    wait_until(map_.page, lambda: least < painted_fraction(map_) < most)


def problems(page):
    """Errors of the console, except for the fonts, which lie beside `app.py`."""
    return [line for line in page.problems if "/app/static/fonts/" not in line]


def drawn(map_):
    expect(map_.frame.locator(".sure, .unsure")).to_be_visible()
    map_.settle()
    return map_


def painted_fraction(map_):
    """Fraction of the pixels of the outlines' canvas that are painted."""
    return map_.run(
        """{
        const canvas = document.querySelector(".leaflet-outlines-pane canvas");
        if (!canvas) return 0;  // no outlines yet
        const rgba = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let painted = 0;
        for (let i = 3; i < rgba.length; i += 4) painted += rgba[i] > 0;
        return painted / (rgba.length / 4);
    }""".replace("{\n", "(() => {\n", 1)
        + ")()"
    )


@pytest.mark.parametrize(("viewport", "scheme"), [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light")])
def test_the_map_is_drawn_with_no_network(open_map, viewport, scheme):
    map_ = drawn(open_map(viewport=viewport, color_scheme=scheme))
    expect(map_.frame.locator(".dot, .cluster").first).to_be_visible()
    expect(map_.frame.locator(".distance")).to_have_text("660 km")
    fills_with_land(map_, 0.2, 0.95)
    assert map_.run("map.getBounds().contains([48.8566, 2.3522]) && map.getBounds().contains([43.2965, 5.3698])")
    assert map_.page.blocked == []  # no server hears of the region before a tile layer is chosen
    assert problems(map_.page) == []


def test_the_outlines_are_fetched_once_for_all_maps(browser, serve):
    context = browser.new_context(viewport=WIDE)  # without the gate of `open_page`, which would disable the cache
    page = context.new_page()
    network, requests = context.new_cdp_session(page), {}
    network.send("Network.enable")
    network.on(
        "Network.requestWillBeSent", lambda event: requests.update({event["requestId"]: event["request"]["url"]})
    )
    sizes = []
    network.on(
        "Network.loadingFinished",
        lambda event: sizes.append(event["encodedDataLength"]) if "outlines" in requests[event["requestId"]] else None,
    )
    page.goto(serve(PAGE))
    fills_with_land(drawn(Map(page)), 0.2, 0.95)
    page.goto(f"{serve(PAGE)}/?photo=suva")
    fills_with_land(drawn(Map(page)))
    context.close()
    assert len(sizes) == 2
    assert sizes[0] > 100_000
    assert sizes[1] == 0  # from the cache of the browser


def test_without_the_file_of_the_outlines_the_map_still_works(browser, serve):
    context = browser.new_context(viewport=WIDE)
    context.route("**/*outlines/*.json", lambda route: route.abort())
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(serve(PAGE))
    map_ = drawn(Map(page))
    expect(map_.frame.locator(".distance")).to_have_text("660 km")
    assert painted_fraction(map_) == 0
    context.close()
    assert problems == []


def test_sea_and_land_follow_the_theme(open_map):
    def sea(scheme):
        return drawn(open_map(color_scheme=scheme)).run("getComputedStyle(map.getContainer()).backgroundColor")

    assert sea("light") == "rgb(211, 227, 234)"
    assert sea("dark") == "rgb(23, 34, 41)"


def test_popups_show_the_place_and_hostile_text_as_text(open_map):
    map_ = drawn(open_map())
    map_.frame.locator(".sure").click()
    popup = map_.frame.locator(".leaflet-popup-content").last  # the one before it is fading away
    expect(popup).to_contain_text("Half of the probability lies within 330 km.")
    map_.page.keyboard.press("Escape")
    map_.frame.locator(".dot").first.click()
    expect(popup).to_contain_text("</script><script>alert(1)</script>`${alert(2)}`<img src=x onerror=alert(3)>\"'")
    assert popup.locator("img, script").count() == 0
    assert problems(map_.page) == []


def test_the_cluster_says_its_probability_and_opens(open_map):
    map_ = drawn(open_map())
    before = map_.view[2]
    cluster = map_.frame.locator(".cluster")
    expect(cluster).to_have_text("30%")  # Lyon 20 % and Villeurbanne 10 %
    cluster.click(force=True)  # the line's label may lie on it
    expect(map_.frame.locator(".cluster")).to_have_count(0)
    map_.settle()
    assert map_.view[2] > before
    assert map_.run("[...document.querySelectorAll('.dot')].length") == 2


def test_zoom_and_popup_survive_a_rerun_and_panning_causes_none(open_map):
    map_ = drawn(open_map())
    map_.frame.get_by_role("button", name="Zoom in").click()
    map_.settle()
    box = map_.page.locator("iframe").first.bounding_box()
    mouse = map_.page.mouse
    mouse.move(box["x"] + 300, box["y"] + 200)
    mouse.down()
    mouse.move(box["x"] + 260, box["y"] + 220, steps=4)
    mouse.up()
    map_.settle()
    expect(map_.page.get_by_text("run 1", exact=True)).to_be_visible()
    map_.frame.locator(".sure").click()
    # With the first click streamlit-folium reports that nothing is drawn, once.
    expect(map_.page.get_by_text("run 2", exact=True)).to_be_visible()
    map_.frame.locator(".leaflet-popup-close-button").click()
    map_.frame.locator(".sure").click()
    map_.settle()
    before = map_.view
    expect(map_.page.get_by_text("run 2", exact=True)).to_be_visible()
    map_.page.get_by_role("button", name="Run again").click()
    expect(map_.page.get_by_text("run 3", exact=True)).to_be_visible()
    expect(map_.page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    assert map_.view == before
    expect(map_.frame.locator(".leaflet-popup-content")).to_be_visible()


def test_a_map_in_a_hidden_tab_is_fitted_when_the_tab_is_opened(open_map):
    seen = drawn(open_map()).view
    map_ = open_map("?hidden=1")
    map_.page.get_by_role("tab", name="Map").click()
    drawn(map_)
    assert map_.view == pytest.approx(seen, abs=0.5)


def test_both_sides_of_the_date_line_are_in_one_view(open_map):
    map_ = drawn(open_map("?photo=suva"))
    expect(map_.frame.locator(".unsure")).to_be_visible()
    expect(map_.frame.locator(".dot")).to_be_visible()
    assert map_.view[2] >= 4
    fills_with_land(map_)


def test_tools_are_there_and_named(open_map):
    map_ = drawn(open_map())
    for title in ("Zoom out", "Full screen", "Draw a polygon", "Hide the overview"):
        expect(map_.frame.get_by_title(title)).to_be_visible()


def test_measuring_draws_a_line_and_says_its_length(open_map):
    map_ = drawn(open_map())
    box = map_.frame.locator(".leaflet-control-measure-toggle").bounding_box()
    map_.page.mouse.move(box["x"] + 9, box["y"] + 9)
    map_.frame.locator(".js-start").click()
    for x in (400, 500):
        map_.page.mouse.click(x, 600)
    expect(map_.frame.locator(".leaflet-control-measure .results")).to_contain_text("km")


def test_a_drawn_rectangle_stays_through_a_rerun(open_map):
    map_ = drawn(open_map())
    map_.frame.get_by_title("Draw a rectangle").click()
    map_.page.mouse.move(300, 500)
    map_.page.mouse.down()
    map_.page.mouse.move(420, 600, steps=5)
    map_.page.mouse.up()
    assert map_.run("drawnItems.getLayers().length") == 1
    map_.page.get_by_role("button", name="Run again").click()
    expect(map_.page.get_by_text("run 2", exact=True)).to_be_visible()
    assert map_.run("drawnItems.getLayers().length") == 1


def test_base_layers_and_overlays_can_be_chosen(open_map):
    map_ = drawn(open_map())
    map_.frame.locator(".leaflet-control-layers").hover()  # it opens, and takes clicks from then on
    expect(map_.frame.locator(".leaflet-control-layers-base label")).to_have_count(5)
    expect(map_.frame.get_by_text("Satellite")).to_be_visible()
    with map_.page.expect_event("requestfailed", lambda request: "World_Imagery" in request.url):
        map_.frame.get_by_text("Satellite").click()
    expect(map_.frame.locator(".tile-notice")).to_have_text(
        "Map tiles are not available: only country outlines are shown"
    )
    map_.frame.get_by_text("Outlines only", exact=True).click()
    expect(map_.frame.locator(".tile-notice")).to_have_text("")


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_zoomed_out_it_shows_one_world_and_no_second_copy(open_map, viewport):
    map_ = drawn(open_map(viewport=viewport))
    map_.run("void map.setZoom(0, {animate: false})")
    map_.settle()
    west, east = map_.run("[map.getBounds().getWest(), map.getBounds().getEast()]")
    assert 180 < east - west <= 361
    # A view of the far side stays within the world around the predicted place.
    map_.run("void map.panTo([0, 500], {animate: false})")
    map_.settle()
    assert map_.run("map.getBounds().getEast()") <= 2.3522 + 181


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_pin_drops_unless_the_reader_prefers_less_motion(open_map, motion):
    map_ = drawn(open_map(reduced_motion=motion))
    names = map_.run(
        "[['.sure .pin', null], ['.sure', '::after']].map("
        "([at, part]) => getComputedStyle(document.querySelector(at), part).animationName)"
    )
    assert names == (["none", "none"] if motion == "reduce" else ["drop", "pulse"])


def test_the_words_of_the_map_are_in_the_face_of_the_page(open_map):
    map_ = drawn(open_map())
    map_.run("document.fonts.ready.then(() => 0)")
    assert map_.run("document.fonts.check('600 12px Poppins')")
