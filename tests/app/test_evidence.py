import json

import pytest

from triovision.inference import CountryEngine
from triovision.ui import leaflet


@pytest.fixture
def predicted(app, china, monkeypatch, open_form):
    """The page with a prediction (Peru, 90 %); a second run of the model fails the test."""
    app.run().file_uploader[0].set_value([("china.jpg", china, "image/jpeg")])
    app.run()

    def fail(*_):
        raise AssertionError("the model ran again")

    monkeypatch.setattr(CountryEngine, "logits", fail)
    return open_form(app)


def field(app, name):
    (result,) = app.session_state["triovision"].results.values()
    boxes = {box.key: box for box in (*app.selectbox, *app.multiselect, *app.number_input)}
    return boxes[f"known-{result.id}-{name}"]


def take(app, **fields):
    for name, value in fields.items():
        field(app, name).set_value(value)
    next(button for button in app.button if button.label in ("Apply", "Appliquer")).click()
    app.run()
    assert not app.exception
    return app


def prediction(app):
    (result,) = app.session_state["triovision"].results.values()
    return result.prediction


def infos(app):
    return [info.value.replace("\\", "") for info in app.info]


def test_a_country_restricts_the_prediction_and_is_removed(predicted):
    app = take(predicted, country="IT")
    assert app.header[0].value == "🇮🇹 Italy"
    (info,) = infos(app)
    assert info.startswith("Restricted to what you know: Italy. Without it, the model gives this a probability of ")
    assert prediction(app).posterior.by_country() == pytest.approx({"IT": 1})
    app.session_state["tab"] = "Probabilities"
    app.run()
    assert not app.exception  # one country is left
    next(button for button in app.button if button.label == "Remove the restriction").click().run()
    assert not app.exception
    assert app.header[0].value.startswith("🇵🇪 Peru · ")
    assert not app.info
    assert field(app, "country").value is None


def test_conditions_combine_and_the_fields_keep_them(predicted, open_form):
    app = take(predicted, continent="EU", south_deg=35.0, north_deg=45.0, west_deg=-10.0, east_deg=20.0)
    assert {guess.country for guess in prediction(app).countries} <= {"ES", "IT", "FR", "GR"}
    assert "Europe · between 35.00° and 45.00° north, -10.00° and 20.00° east" in infos(app)[0]
    app.switch_page("pages/about.py").run()
    open_form(app.switch_page("pages/locate.py").run())
    assert (field(app, "continent").value, field(app, "west_deg").value) == ("EU", -10)
    assert prediction(app).evidence.continent == "EU"


def test_a_city_is_found_by_name_and_country(predicted):
    options = field(predicted, "city").options
    app = take(
        predicted, city=next(i for i, text in zip(cities(predicted), options, strict=True) if text == "Rome, Italy")
    )
    assert prediction(app).place.country == "IT"
    assert "within 50 km of Rome" in infos(app)[0]
    assert prediction(app).radius_90_km < 120


def test_clues_restrict_the_prediction_and_the_fields_keep_them(predicted, open_form):
    app = take(predicted, driving_side="left", language=["en"])
    assert {guess.country for guess in prediction(app).countries} == {"GB", "IN", "TH", "ZA"}  # all of the model's
    assert sum(guess.probability for guess in prediction(app).countries) == pytest.approx(1, abs=1e-12)
    assert "Language on signs: English · Side of the road: cars drive on the left" in infos(app)[0]
    app.switch_page("pages/about.py").run()
    open_form(app.switch_page("pages/locate.py").run())
    assert (field(app, "driving_side").value, field(app, "language").value) == ("left", ["en"])
    app = take(app, script=["Cyrl"])
    assert "no place that the model considers agrees with it" in app.error[0].value.replace("\\", "")
    assert {guess.country for guess in prediction(app).countries} == {"GB", "IN", "TH", "ZA"}


def cities(app):
    names = prediction(app).posterior.names
    return sorted(range(len(names)), key=names.__getitem__)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"continent": "EU", "country": "JP"}, "no place that the model considers agrees with it"),
        ({"south_deg": 1.0}, "a box has four edges"),
        ({"south_deg": 2.0, "north_deg": 1.0, "west_deg": 0.0, "east_deg": 1.0}, "its south lies north of its north"),
        ({"south_deg": -60.0, "north_deg": -55.0, "west_deg": 170.0, "east_deg": -100.0}, "Give less evidence"),
        ({}, "is empty"),
    ],
)
def test_impossible_evidence_is_an_error_and_changes_nothing(predicted, fields, message):
    app = take(predicted, **fields)
    (error,) = app.error
    assert message in error.value.replace("\\", "")
    assert app.header[0].value.startswith("🇵🇪 Peru · ")
    assert not app.info
    take(app, **dict.fromkeys(fields), country="PE") if fields.get("country") is None else take(app, continent=None)
    assert not app.error


def test_downloads_contain_the_evidence(predicted, monkeypatch):
    written = []
    download = "triovision.ui.details.st.download_button"
    monkeypatch.setattr(download, lambda label, data, **_: written.append((label, data)))
    predicted.session_state["tab"] = "Details"
    take(predicted, country="FR")
    evidence = json.loads(dict(written)["This prediction (JSON)"])["evidence"]
    assert evidence["country"] == "FR"
    assert 0 < evidence["probability"] < 0.1


def test_a_rectangle_on_the_map_is_taken_as_a_box(predicted, monkeypatch):
    ring = [[-10, 35], [-10, 45], [5, 45], [5, 35], [-10, 35]]
    drawing = {"geometry": {"type": "Polygon", "coordinates": [ring]}}
    monkeypatch.setattr(leaflet, "st_folium", lambda *_, **__: {"all_drawings": [drawing]})
    predicted.run()
    next(button for button in predicted.button if button.label == "Search only inside the rectangle").click().run()
    assert not predicted.exception
    assert prediction(predicted).evidence.box.west_deg == -10
    assert field(predicted, "north_deg").value == 45
    assert predicted.header[0].value.startswith("🇪🇸 Spain")


def test_it_speaks_french(predicted, open_form):
    predicted.session_state["language"] = "fr"
    app = take(open_form(predicted.run()), continent="EU", country="IT")
    assert "Restreint à ce que vous savez\u00a0: Europe · Italie." in infos(app)[0]
    app = take(app, country="JP")
    assert "aucun lieu envisagé par le modèle" in app.error[0].value


def test_clear_removes_the_evidence(predicted):
    app = take(predicted, country="IT")
    boxes = (*app.selectbox, *app.multiselect, *app.number_input)
    names = [box.key for box in boxes if str(box.key).startswith("known-")]
    assert len(names) == 14  # three places, a radius, four edges and six clues
    app.button(key="clear").click().run()
    assert not app.exception
    assert not [name for name in names if name in app.session_state]
