"""Files that the buttons save, each read by a program that is not ours."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import expect

import triovision
from triovision.errors import ModelError
from triovision.ui.examples import EXAMPLE

from .conftest import ROOT

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def prediction():
    """Prediction of the library for the photo on the page."""
    try:
        model = triovision.load_model()
    except ModelError as error:
        pytest.skip(str(error))
    return model.predict([triovision.read_photo(EXAMPLE.read_bytes(), EXAMPLE.name)], top_k=1000)[0]


@pytest.fixture(scope="module")
def page(open_shared_page, serve, prediction):
    assert prediction.countries  # there is a model
    page = open_shared_page(serve(ROOT / "app.py"), viewport={"width": 1280, "height": 1500}, locale="en-GB")
    page.get_by_role("button", name="Try an example").click()
    expect(page.get_by_role("tab", name="Details")).to_be_visible()
    return page


@pytest.fixture
def save(page, settle, download):
    """Saves a file of a tab by the label of its button."""

    def save_(tab, label):
        settle(page)
        page.get_by_role("tab", name=tab).click()
        button = page.get_by_role("button", name=label, exact=True)
        expect(button).to_be_visible()
        settle(page)
        return download(page, button)

    return save_


def test_the_prediction_as_json_is_that_of_the_library(save, prediction):
    saved = json.loads(save("Details", "This prediction (JSON)"))
    expected = json.loads(json.dumps(prediction.to_dict()))
    assert saved["model"] == prediction.model
    assert [one["country"] for one in saved["countries"]] == [one["country"] for one in expected["countries"]]
    assert saved["place"]["lat_deg"] == pytest.approx(prediction.place.lat_deg)
    assert sum(one["probability"] for one in saved["countries"]) == pytest.approx(1, abs=1e-3)


def test_the_report_is_a_page_of_its_own(save, open_page, prediction):
    report = save("Details", "Download the report").decode()
    read = open_page("about:blank")
    read.set_content(report)
    assert read.get_by_role("heading", level=1).is_visible()
    assert prediction.model in read.locator("body").inner_text()
    assert read.locator("img").evaluate_all("all => all.map(one => one.complete && one.naturalWidth > 0)") == [True]
    assert read.blocked == read.problems == []


def test_the_charts_are_a_page_of_their_own(save, open_page, tmp_path):
    (tmp_path / "charts.html").write_bytes(save("Probabilities", "All charts as one page (HTML)"))
    read = open_page("about:blank")
    read.route("file://**", lambda route: route.continue_())
    read.goto((tmp_path / "charts.html").as_uri())
    expect(read.locator(".js-plotly-plot .barlayer .bars").first).to_be_visible()
    assert read.locator(".js-plotly-plot").count() == 4 + 5  # and a gauge for each country
    assert read.blocked == read.problems == []


def test_the_heat_maps_are_pictures(save):
    with Image.open(EXAMPLE) as photo:
        size = photo.size
    pictures = [Image.open(io.BytesIO(save("Why", label))) for label in ("Overlay (PNG)", "Raw map (PNG)")]
    assert [picture.format for picture in pictures] == ["PNG", "PNG"]
    assert pictures[0].width / pictures[0].height == pytest.approx(size[0] / size[1], rel=0.01)
    assert all(np.asarray(picture.convert("RGB")).std() > 5 for picture in pictures)  # not one colour
    assert all(not picture.getexif() for picture in pictures)


def test_a_comparison_holds_every_model(page, settle, download):
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_role("button", name="on this photo").click()
    expect(page.get_by_role("button", name="on this photo")).to_have_count(0)
    settle(page)
    models = json.loads(download(page, page.get_by_role("button", name="Comparison (JSON)")))
    table = pd.read_csv(io.BytesIO(download(page, page.get_by_role("button", name="Comparison (CSV)"))))
    names = sorted(folder.name for folder in (ROOT / "models").iterdir() if (folder / "card.json").is_file())
    assert set(names) <= set(table["model"])
    assert all(name in json.dumps(models) for name in names)
    assert page.get_by_text("ms on").count() == table["model"].nunique()  # a card for each


def test_a_model_card_is_json(page, settle, download):
    page.get_by_role("link", name="Models", exact=True).click()
    button = page.get_by_role("button", name="Card (JSON)").first
    expect(button).to_be_visible()
    settle(page)
    card = json.loads(download(page, button))
    assert (ROOT / "models" / card["id"] / "card.json").is_file()
    assert card["labels"]


def test_a_finished_game_is_json_and_csv(page, settle, download):
    page.get_by_role("link", name="Play", exact=True).click()
    page.get_by_role("button", name="Start: 1 round").click()
    page.get_by_role("textbox", name="City").fill("Paris")
    page.keyboard.press("Enter")
    expect(page.get_by_role("spinbutton", name="Latitude (°)")).to_have_value("48.8534")
    settle(page)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("button", name="To the summary").click()
    expect(page.get_by_role("button", name="Game (JSON)")).to_be_visible()
    settle(page)
    game = json.loads(download(page, page.get_by_role("button", name="Game (JSON)")))
    (row,) = csv.DictReader(io.StringIO(download(page, page.get_by_role("button", name="Game (CSV)")).decode()))
    assert float(row["player_distance_km"]) == pytest.approx(8202, abs=2)  # from Paris to the Summer Palace
    assert game["rounds"][0]["player_distance_km"] == float(row["player_distance_km"])
    assert game["player_score"] == float(row["player_score"])
