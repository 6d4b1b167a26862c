import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from gettext import NullTranslations
from html import unescape

import numpy as np
import pytest
from streamlit_folium import _get_map_string

from triovision.geo import Box, Evidence, ShadowBand, WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.languages import Translator, get_translator
from triovision.results import CameraFacts, Prediction
from triovision.viz.leaflet import LeafletSource
from triovision.viz.map_style import MapOptions
from triovision.viz.maps import prediction_map

PARIS = PlaceGuess("Paris", "FR", 48.8566, 2.3522, 0.5)
LYON = PlaceGuess("Lyon", "FR", 45.764, 4.8357, 0.35)
MONTREAL = PlaceGuess("Montréal", "CA", 45.5017, -73.5673, 0.15)
PREDICTION = Prediction(
    photo="photo.jpg",
    model="made by hand",
    countries=(CountryGuess("FR", 0.85), CountryGuess("CA", 0.15)),
    country_set=("FR",),
    place=PARIS,
    radius_km=100,
    radius_90_km=5600,
    places=(PARIS, LYON, MONTREAL),
    posterior=WeightedPlaces(
        lat_deg=np.array([place.lat_deg for place in (PARIS, LYON, MONTREAL)]),
        lon_deg=np.array([place.lon_deg for place in (PARIS, LYON, MONTREAL)]),
        weight=np.array([0.5, 0.35, 0.15]),
        countries=np.array(["FR", "FR", "CA"]),
    ),
    area=Area(kind="region", probability=0.5, name="Paris", country="FR", radius_km=100),
    abstained=False,
    elapsed_ms=1.0,
    device="cpu",
    precision="float32",
)
HOSTILE = [
    "</script><script>alert(1)</script>",
    "a`b",
    "${alert(1)}",
    "\"'\\",
    "<img src=x onerror=alert(1)>",
    "{{ 7*7 }}",
]


ENGLISH = MapOptions()


def script(prediction=PREDICTION, camera=None, options=ENGLISH):
    plot = prediction_map(prediction, camera, options)
    plot.render()
    return _get_map_string(plot)


def alternatives(text):
    return json.loads(re.search(r"var data = (\[.*\]);", text).group(1))


def popups(text):
    return [json.loads(html) for html in re.findall(r"\.bindPopup\((\".*\")\);", text)]


def fitted(text):
    return json.loads(re.search(r"fitBounds\((\[\[.*?\]\])", text).group(1))


def closest(text):
    return json.loads(re.search(r"Object\.assign\(\{animate: false\}, (\{.*?\})\)", text).group(1))["maxZoom"]


def test_the_predicted_place_is_a_pin_and_the_others_are_in_the_cluster():
    text = script()
    assert [row[:2] for row in alternatives(text)] == [
        pytest.approx([45.764, 4.8357]),
        pytest.approx([45.5017, -73.5673]),
    ]
    assert "<strong>Lyon</strong><br>France<br>Probability: 35%" in alternatives(text)[0][2]
    assert popups(text) == [
        "Predicted place<br><strong>Paris</strong><br>France<br>Probability: 50%<br>"
        "Half of the probability lies within 100 km."
    ]


def test_places_below_a_tenth_of_a_per_cent_are_no_alternatives():
    lyon = replace(PREDICTION.places[1], probability=0.0009)
    assert (
        len(alternatives(script(replace(PREDICTION, places=(PREDICTION.places[0], lyon, PREDICTION.places[2]))))) == 1
    )


UNSURE = replace(PREDICTION, abstained=True, area=Area(kind="unknown", probability=1))


def density_is_shown(text):
    (group,) = re.findall(r'"Density of the probability" : (feature_group_\w+)', text)
    return f"{group}.addTo(map_" in text


def test_an_abstention_shows_the_density_and_the_candidates_but_no_circle():
    text = script(UNSURE)
    (popup,) = popups(text)
    assert popup == "Best guess, not sure<br><strong>Paris</strong><br>France<br>Probability: 50%"
    assert len(alternatives(text)) == 2
    assert density_is_shown(text)
    assert "L.polygon" not in text
    assert not density_is_shown(script())
    assert "L.polygon" in script()


def test_a_circle_over_half_of_the_globe_is_not_drawn():
    assert "L.polygon" in script(replace(PREDICTION, radius_km=1000))
    text = script(replace(PREDICTION, radius_km=1001))
    assert "L.polygon" not in text
    assert "lies within" not in popups(text)[0]
    assert fitted(text)[1][0] == pytest.approx(48.8566)  # the likely places alone


SAGRADA = PlaceGuess("Sagrada Família", "ES", 41.4036, 2.1744, 0.93)


def test_a_landmark_has_a_marker_of_its_own_and_the_first_view():
    area = Area(kind="landmark", probability=0.93, name="Sagrada Família", city="Barcelona", country="ES", radius_km=1)
    text = script(replace(PREDICTION, landmark=SAGRADA, area=area))
    assert popups(text)[1] == "Recognised landmark<br><strong>Sagrada Família</strong><br>Spain<br>Probability: 93%"
    assert '"className": "landmark"' in text
    assert fitted(text) == [pytest.approx([41.4036, 2.1744])] * 2
    assert "L.polygon" not in text
    assert "landmark" not in script()
    assert (closest(text), closest(script())) == (7, 6)  # a landmark is shown nearer than a country


def test_the_scale_has_miles_for_readers_of_english_alone():
    assert "L.control.scale({imperial: true})" in script()
    assert "L.control.scale({imperial: false})" in script(options=MapOptions(translate=get_translator("fr")))


def test_an_uncalibrated_model_gives_no_percentages():
    text = script(replace(PREDICTION, calibrated=False))
    assert popups(text) == ["Predicted place<br><strong>Paris</strong><br>France"]
    assert [row[2:4] for row in alternatives(text)] == [
        ["<strong>Lyon</strong><br>France", "Lyon, France"],
        ["<strong>Montréal</strong><br>Canada", "Montréal, Canada"],
    ]
    assert "getChildCount()" in text
    assert 'style: "percent"' not in text


def test_texts_and_numbers_are_in_the_readers_language():
    french = {"Probability: {value}": "Probabilité : {value}", "Streets": "Plan"}

    class French(NullTranslations):
        def gettext(self, message):
            return french.get(message, message)

    montreal = CameraFacts(lat_deg=MONTREAL.lat_deg, lon_deg=MONTREAL.lon_deg)
    text = script(camera=montreal, options=MapOptions(translate=Translator("fr", French())))
    assert "Probabilité : 15\u202f%" in alternatives(text)[1][2]
    assert '\\u003c/i\\u003ePlan" : tile_layer' in text
    assert "5\u202f50" in popups(text)[1]
    assert 'toLocaleString("fr"' in text


def test_the_first_view_holds_the_radius_and_the_likely_places_but_not_the_unlikely():
    (south, west), (north, east) = fitted(script())
    assert south == pytest.approx(45.764)
    assert east == pytest.approx(4.8357)
    assert north == pytest.approx(48.8566 + 100 / 111.195, abs=1e-3)
    assert -73 < west < 2.3522 - 100 / 111.195


def test_the_cameras_position_is_in_view_with_its_distance():
    text = script(camera=CameraFacts(lat_deg=43.2965, lon_deg=5.3698))
    assert fitted(text)[0][0] == pytest.approx(43.2965)
    # Paris to Marseille, great circle: 660 km.
    assert "43.29650, 5.36980" in popups(text)[1]
    assert "660 km from the predicted place" in popups(text)[1]
    assert "\\u003cspan\\u003e660 km\\u003c/span\\u003e" in text


def test_a_camera_without_a_position_adds_nothing():
    assert script(camera=CameraFacts(camera="Leica")) == script()


def test_places_beyond_the_date_line_are_drawn_beside_the_predicted_one():
    suva, neiafu = PlaceGuess("Suva", "FJ", -18.14, 178.44, 0.6), PlaceGuess("Neiafu", "TO", -18.65, -173.98, 0.4)
    text = script(replace(PREDICTION, place=suva, places=(suva, neiafu)))
    assert alternatives(text)[0][1] == pytest.approx(186.02)
    (_, west), (_, east) = fitted(text)
    assert east - west < 12


def test_bounds_stay_on_the_map_at_a_pole():
    pole = replace(PARIS, name="Alert", country="CA", lat_deg=82.5, lon_deg=-62.3)
    (_, west), (north, east) = fitted(script(replace(PREDICTION, place=pole, places=(pole,), radius_km=1000)))
    assert north == pytest.approx(85.0511)
    assert east - west == pytest.approx(360)


def test_base_layers_credit_their_makers_and_one_asks_no_server():
    text = script()
    assert text.count("Tiles \\u0026copy; Esri") == 4
    for name in ("Streets", "Satellite", "Terrain", "Ocean", "Outlines only"):
        assert f'\\u003c/i\\u003e{name}" : ' in text


def test_outlines_are_in_the_map_and_its_overview():
    outlines = '{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}'
    text = script(options=MapOptions(outlines=outlines))
    assert text.count(outlines) == 1
    assert re.search(r'L\.Control\.MiniMap\(\s*outlines_div_\d+\("overlayPane"\)', text)
    assert "fetch(" not in text  # a map on its own needs no server


def test_outlines_of_a_page_are_fetched_and_not_written_into_each_map():
    text = script(options=MapOptions(outlines_url="../outlines/0a1b.json"))
    assert text.count('fetch("../outlines/0a1b.json"') == 1
    assert "MultiPolygon" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name):
    hostile = replace(
        PREDICTION,
        place=replace(PARIS, name=name),
        places=(PARIS, replace(LYON, name=name)),
        landmark=replace(SAGRADA, name=name),
    )
    page = prediction_map(hostile).get_root().render()
    benign = prediction_map(replace(PREDICTION, places=(PARIS, LYON), landmark=SAGRADA)).get_root().render()
    assert page.count("</script") == benign.count("</script")
    assert page.count("<img") == benign.count("<img")
    text = script(hostile)
    row = next(row for row in alternatives(text) if row[0] == LYON.lat_deg)
    assert unescape(row[2]) == f"<strong>{name}</strong><br>France<br>Probability: 35%"
    assert "<" not in re.sub(r"</?strong>|<br>", "", row[2])
    for popup in popups(text):
        assert f"<strong>{name}</strong>" in unescape(popup)
        assert "<" not in re.sub(r"</?strong>|<br>", "", popup)


def test_the_same_prediction_gives_the_same_script():
    camera = CameraFacts(lat_deg=43.2965, lon_deg=5.3698)
    assert script(camera=camera) == script(camera=camera)
    assert script() != script(replace(PREDICTION, radius_km=101))


def test_every_script_and_style_comes_from_the_source():
    options = MapOptions(source=LeafletSource("../here/{package}/{path}"))
    plot = prediction_map(PREDICTION, options=options)
    plot.get_root().render()
    header = plot.get_root().header.render()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', header)
    assert len(addresses) == 12
    assert all(address.startswith("../here/leaflet") for address in addresses)


def shaded(text):
    return json.loads(re.search(r"(\[\[.*?\]\])\.forEach\(function \(row\)", text).group(1))


def test_the_density_shades_the_cells_that_hold_most_and_waits_to_be_asked_for():
    text = script()
    rows = shaded(text)
    assert rows[0][4] == 0.7 == max(row[4] for row in rows)
    assert all(row[0] < row[2] and row[1] < row[3] for row in rows)
    for lat_deg, lon_deg in ((PARIS.lat_deg, PARIS.lon_deg), (MONTREAL.lat_deg, MONTREAL.lon_deg)):
        assert any(row[0] <= lat_deg <= row[2] and row[1] <= lon_deg <= row[3] for row in rows)
    density = PREDICTION.posterior.density()
    probabilities = sorted(density.probability, reverse=True)
    assert sum(probabilities[: len(rows)]) >= 0.95 > sum(probabilities[: len(rows) - 1])
    assert "Density of the probability" in text


def test_cells_beyond_the_date_line_lie_beside_the_place():
    fiji = PlaceGuess("Suva", "FJ", -18.14, 178.44, 1)
    here = WeightedPlaces(
        lat_deg=np.array([-18.14, -18.65]),
        lon_deg=np.array([178.44, -173.98]),
        weight=np.array([0.5, 0.5]),
        countries=np.array(["FJ", "TO"]),
    )
    rows = shaded(script(replace(PREDICTION, place=fiji, places=(fiji,), posterior=here)))
    assert min(row[1] for row in rows) > 170
    assert max(row[3] for row in rows) > 186


@pytest.mark.parametrize(
    ("west", "east", "drawn"), [(-5, 9, (-5, 9)), (170, -170, (170, 190)), (-180, 180, (-180, 180))]
)
def test_the_box_that_the_reader_named_is_drawn(west, east, drawn):
    evidence = Evidence(box=Box(south_deg=-20, north_deg=50, west_deg=west, east_deg=east))
    place = PlaceGuess("Here", "FR", 0, (drawn[0] + drawn[1]) / 2, 1)
    text = script(replace(PREDICTION, place=place, evidence=evidence))
    corners = json.loads(re.search(r"L\.rectangle\(\s*(\[\[-?\d.*?\]\]),\s*\{", text).group(1))
    assert corners == [[-20, drawn[0]], [50, drawn[1]]]
    assert not re.search(r"L\.rectangle\(\s*\[\[-?\d", script())


SHADOW = ShadowBand(at=datetime(2024, 6, 21, 9, 0, tzinfo=UTC), sun_height_deg=45)


def test_a_shadow_is_drawn_as_evidence_or_before_it_is():
    name = "Places where the shadow fits"
    assert name not in script()
    assert name in script(replace(PREDICTION, evidence=Evidence(shadow=SHADOW)))
    plot = prediction_map(PREDICTION, None, ENGLISH, shadow=SHADOW)
    plot.render()
    assert name in _get_map_string(plot)


def test_a_claimed_place_is_drawn_instead_of_the_position_of_the_camera():
    camera = CameraFacts(lat_deg=45.0, lon_deg=5.0)
    plot = prediction_map(PREDICTION, camera, ENGLISH, claim=(50.8503, 4.3517))
    plot.render()
    pin = popups(_get_map_string(plot))[-1]
    assert pin.startswith("Claimed place<br><strong>50.85030, 4.35170</strong>")
    assert "264 km from the predicted place" in pin
    assert "Position in the EXIF data" not in _get_map_string(plot)
