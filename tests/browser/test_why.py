"""The tab "Why" in a browser: a slow method that is stopped, a contrast, activations, on a phone."""

import io

import numpy as np
import pytest
from playwright.sync_api import expect

import triovision
from triovision.errors import ModelError
from triovision.geo import country_name
from triovision.ui.examples import EXAMPLE

from .conftest import ROOT

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def prediction():
    try:
        model = triovision.load_model()
    except ModelError as error:
        pytest.skip(str(error))
    return model.predict([triovision.read_photo(EXAMPLE.read_bytes(), EXAMPLE.name)])[0]


@pytest.fixture
def why(open_page, serve, prediction, settle):
    """A phone with the tab of the example photo."""
    assert prediction.countries  # there is a model
    page = open_page(serve(ROOT / "app.py"), viewport={"width": 390, "height": 900}, locale="en-GB")
    page.get_by_role("button", name="Try an example").click()
    page.get_by_role("tab", name="Why").click()
    expect(page.get_by_alt_text("Raw map")).to_be_visible()
    settle(page)
    return page


def choose(page, field, option, settle):
    page.get_by_role("combobox", name=field).click()
    page.keyboard.type(option)  # a phone shows the first options only
    page.get_by_role("option", name=option).first.click()
    settle(page)


def test_a_slow_method_waits_is_stopped_and_the_tab_goes_on(why, prediction, settle, download):
    choose(why, "Method", "LIME", settle)
    compute = why.get_by_role("button", name="Compute (")
    expect(compute).to_be_visible()
    expect(why.get_by_alt_text("Raw map")).to_have_count(0)
    compute.click()
    stop = why.get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    expect(compute).to_be_hidden()
    stop.click()
    expect(compute).to_be_visible()
    expect(stop).to_have_count(0)
    settle(why)

    choose(why, "Method", "LayerCAM", settle)
    first, second = (country_name(guess.country) for guess in prediction.countries[:2])
    choose(why, "And not", second, settle)
    expect(why.get_by_alt_text(f"Heat map for {first} and not {second}")).to_be_visible()
    expect(why.get_by_text(f"Orange speaks for {first}, blue for {second}.")).to_be_visible()
    with np.load(io.BytesIO(download(why, why.get_by_role("button", name="Array (NPZ)")))) as file:
        assert file["heatmap_hw"].min() < 0
        assert file["against"] == prediction.countries[1].country

    why.get_by_text("Inside the network").click()
    mosaic = why.get_by_alt_text("channels")
    expect(mosaic).to_be_visible()
    settle(why)
    assert mosaic.evaluate("image => image.getBoundingClientRect().right <= innerWidth")
    assert why.evaluate("document.querySelector('.stMain').scrollWidth <= innerWidth")
    assert why.problems == []
    assert why.blocked == []
