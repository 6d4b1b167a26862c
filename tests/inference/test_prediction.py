from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from math import pi

import numpy as np
import pytest

from triovision.errors import EvidenceError
from triovision.geo import Box, CandidatePlaces, Clue, Evidence, Near, ShadowBand, distance_km
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.inference import CountryEngine
from triovision.inference.card import Calibration
from triovision.inference.prediction import build_prediction_fields, condition
from triovision.results import Photo, Prediction

COUNTRIES = ("FR", "JP", "IT", "US")
PROBABILITY = (0.5, 0.3, 0.15, 0.05)
CALIBRATION = Calibration(
    temperature=1, conformal_threshold=0.1, conformal_coverage=0.9, abstention_threshold=0.4, fitted_on="nothing"
)
SAGRADA = PlaceGuess("Sagrada Família", "ES", 41.4036, 2.1744, 0.85)
ALSACE = Box(south_deg=47.4, north_deg=49.1, west_deg=6.8, east_deg=8.3)


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    return predict(CALIBRATION)


def predict(calibration: Calibration, landmark: PlaceGuess | None = None) -> Prediction:
    posterior = CandidatePlaces(COUNTRIES).weighted(np.array(PROBABILITY))
    guesses = [CountryGuess(code, share) for code, share in zip(COUNTRIES, PROBABILITY, strict=True)]
    fields = build_prediction_fields(guesses, posterior, calibration, top_k=3, landmark=landmark)
    return Prediction(photo="a.jpg", model="m", **fields, elapsed_ms=1, device="cpu", precision="float32")


def test_an_answer_names_countries_place_and_set(prediction: Prediction) -> None:
    assert [guess.country for guess in prediction.countries] == ["FR", "JP", "IT"]
    assert prediction.country_set == ("FR", "JP", "IT")
    assert prediction.place.country == "FR"
    assert prediction.radius_km <= prediction.radius_90_km
    assert not prediction.abstained
    assert prediction.posterior.by_country() == pytest.approx(dict(zip(COUNTRIES, PROBABILITY, strict=True)))
    assert prediction.to_dict()["place"]["radius_90_km"] == round(prediction.radius_90_km, 3)
    assert prediction.to_dict()["evidence"] is None


def test_radii_are_those_of_the_calibration(prediction: Prediction) -> None:
    changed = predict(CALIBRATION.model_copy(update={"radius_factor": 0.25, "radius_90_factor": 0.5}))
    assert changed.radius_km == pytest.approx(0.25 * prediction.radius_km)
    assert changed.radius_90_km == pytest.approx(0.5 * prediction.radius_90_km)
    crossed = predict(CALIBRATION.model_copy(update={"radius_factor": 2, "radius_90_factor": 1e-6}))
    assert crossed.radius_90_km == crossed.radius_km == pytest.approx(2 * prediction.radius_km)
    assert changed.place == prediction.place
    everywhere = predict(CALIBRATION.model_copy(update={"radius_factor": 1e6}))
    assert everywhere.radius_km == pytest.approx(6371.0088 * pi)


def area_with(radius_km: float, **changes: object) -> Area:
    """Area of the prediction whose calibrated radius is this."""
    factor = radius_km / predict(CALIBRATION).radius_km
    return predict(CALIBRATION.model_copy(update={"radius_factor": factor, **changes})).area


def test_the_area_is_the_smallest_that_the_calibrated_radius_allows() -> None:
    place = predict(CALIBRATION).place
    assert area_with(24.9) == Area(
        kind="place", probability=0.5, name=place.name, country="FR", radius_km=pytest.approx(24.9)
    )
    region = area_with(199.9)
    assert (region.kind, region.name, region.radius_km) == ("region", place.name, pytest.approx(199.9))
    assert area_with(200.1) == Area(kind="country", probability=0.5, country="FR")


def test_below_the_threshold_the_area_is_a_part_of_the_world_or_unknown() -> None:
    # Western Europe has 0.5, Eastern Asia 0.3, Southern Europe 0.15, Northern America 0.05.
    assert area_with(10, abstention_threshold=0.6).kind == "unknown"
    assert area_with(10, abstention_threshold=0.6, part_of_world_threshold=0.51).kind == "unknown"
    part = area_with(10, abstention_threshold=0.6, part_of_world_threshold=0.5)
    assert part == Area(kind="part_of_world", probability=0.5, part_of_world="155")


def test_a_landmark_is_the_area_even_where_the_country_is_not_sure() -> None:
    found = predict(CALIBRATION.model_copy(update={"abstention_threshold": 1.0}), SAGRADA)
    assert not found.abstained  # it has an answer
    assert found.landmark == SAGRADA
    assert found.area == Area(
        kind="landmark", probability=0.85, name="Sagrada Família", city="Barcelona", country="ES", radius_km=1
    )
    written = json.loads(json.dumps(found.to_dict()))
    assert written["landmark"] == {
        "name": "Sagrada Família",
        "country": "ES",
        "lat_deg": 41.4036,
        "lon_deg": 2.1744,
        "probability": 0.85,
    }
    assert written["area"] == {
        "kind": "landmark",
        "probability": 0.85,
        "name": "Sagrada Família",
        "city": "Barcelona",
        "country": "ES",
        "part_of_world": None,
        "radius_km": 1.0,
    }


def test_a_landmark_outside_cities_has_none() -> None:
    machu_picchu = PlaceGuess("Machu Picchu", "PE", -13.1631, -72.5450, 0.9)
    assert predict(CALIBRATION, machu_picchu).area.city == ""


def test_a_landmark_below_its_threshold_is_dropped() -> None:
    found = predict(CALIBRATION, replace(SAGRADA, probability=0.79))
    assert found.landmark is None
    assert found.area.kind != "landmark"
    assert found.to_dict()["landmark"] is None


def test_evidence_keeps_the_landmark_that_it_contains() -> None:
    found = predict(CALIBRATION, SAGRADA)
    large = condition(found, Evidence(box=Box(south_deg=30, north_deg=60, west_deg=-100, east_deg=150)), CALIBRATION)
    assert large.landmark is not None
    assert large.landmark.probability == pytest.approx(0.85 / large.evidence_probability)
    europe = condition(found, Evidence(continent="EU"), CALIBRATION)  # 0.65 of the posterior
    assert europe.landmark == replace(SAGRADA, probability=1.0)
    assert europe.area.kind == "landmark"
    japan = condition(found, Evidence(country="JP"), CALIBRATION)
    assert japan.landmark is None
    assert japan.area.country == "JP"


def test_a_model_without_fitting_photos_is_not_calibrated(prediction: Prediction) -> None:
    assert prediction.calibrated
    uncalibrated = predict(CALIBRATION.model_copy(update={"fitted_on": ""}))
    assert not uncalibrated.calibrated
    assert uncalibrated.to_dict()["calibrated"] is False
    assert not condition(
        uncalibrated, Evidence(country="FR"), CALIBRATION.model_copy(update={"fitted_on": ""})
    ).calibrated


def test_what_a_person_says_is_taken_as_true(prediction: Prediction) -> None:
    europe = condition(prediction, Evidence(continent="EU"), CALIBRATION)
    assert [(guess.country, guess.probability) for guess in europe.countries] == [
        ("FR", pytest.approx(0.5 / 0.65)),
        ("IT", pytest.approx(0.15 / 0.65)),
    ]
    assert europe.evidence_probability == pytest.approx(0.65)
    assert europe.radius_90_km < prediction.radius_90_km
    japan = condition(prediction, Evidence(country="JP"), CALIBRATION)
    assert (japan.place.country, japan.countries[0].probability, japan.country_set) == ("JP", pytest.approx(1), ("JP",))
    assert (japan.photo, japan.model, japan.elapsed_ms) == (prediction.photo, prediction.model, prediction.elapsed_ms)
    # What the model said is still there, and may be asked something else.
    assert prediction.evidence is None
    assert condition(prediction, Evidence(country="FR"), CALIBRATION).evidence_probability == pytest.approx(0.5)


def test_a_small_area_is_filled_with_all_its_cities(prediction: Prediction) -> None:
    before = prediction.posterior
    assert Evidence(box=ALSACE).contains(before.lat_deg, before.lon_deg, before.countries).sum() < 10
    alsace = condition(prediction, Evidence(box=ALSACE), CALIBRATION)
    assert {"Strasbourg", "Colmar", "Mulhouse"} <= set(alsace.posterior.names)
    assert ALSACE.contains(alsace.posterior.lat_deg, alsace.posterior.lon_deg).all()
    assert alsace.place.country == "FR"  # Germany and Switzerland are no labels of this model
    assert 0 < alsace.evidence_probability < 0.5
    colmar = Near(name="Colmar", lat_deg=48.08, lon_deg=7.36, radius_km=30)
    around = condition(prediction, Evidence(near=colmar), CALIBRATION)
    assert distance_km(48.08, 7.36, around.posterior.lat_deg, around.posterior.lon_deg).max() <= 30


def test_a_large_area_keeps_the_places_of_the_model(prediction: Prediction) -> None:
    west = Box(south_deg=-90, north_deg=90, west_deg=-20, east_deg=30)
    left = condition(prediction, Evidence(box=west), CALIBRATION)
    assert set(left.posterior.names) <= set(prediction.posterior.names)
    assert set(left.posterior.by_country()) == {"FR", "IT"}


def test_clues_and_a_shadow_condition_exactly(prediction: Prediction) -> None:
    left = condition(prediction, Evidence(clues=(Clue("driving_side", "left"),)), CALIBRATION)
    assert [(guess.country, guess.probability) for guess in left.countries] == [("JP", pytest.approx(1))]
    assert left.evidence_probability == pytest.approx(0.3)
    euro = condition(prediction, Evidence(clues=(Clue("currency", "€"),)), CALIBRATION)
    assert {guess.country: guess.probability for guess in euro.countries} == pytest.approx(
        {"FR": 0.5 / 0.65, "IT": 0.15 / 0.65}
    )
    # Noon at 0° east in June: a sun above 60° stands over France and Italy, not over America or, at night, Japan.
    noon = ShadowBand(at=datetime(2024, 6, 21, 12, 0, tzinfo=UTC), sun_height_deg=65, tolerance_deg=10)
    lit = condition(prediction, Evidence(shadow=noon), CALIBRATION)
    before = prediction.posterior
    agrees = noon.contains(before.lat_deg, before.lon_deg)
    assert lit.evidence_probability == pytest.approx(before.weight[agrees].sum())
    assert lit.posterior.weight == pytest.approx(before.weight[agrees] / before.weight[agrees].sum())
    assert {guess.country for guess in lit.countries} <= {"FR", "IT"}


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(clues=(Clue("script", "Cyrl"),)),
        Evidence(shadow=ShadowBand(at=datetime(2024, 6, 21, 12, tzinfo=UTC), sun_height_deg=89, tolerance_deg=1)),
        Evidence(country="DE"),
        Evidence(continent="AF"),
        Evidence(continent="EU", country="JP"),
        Evidence(box=Box(south_deg=-60, north_deg=-50, west_deg=-150, east_deg=-100)),  # the South Pacific
        Evidence(near=Near(name="Nemo", lat_deg=-48.9, lon_deg=-123.4, radius_km=500)),
    ],
)
def test_nothing_left_is_an_error_in_words(prediction: Prediction, evidence: Evidence) -> None:
    with pytest.raises(EvidenceError, match=r"no place .* agrees with it\. Give less evidence, or a larger box"):
        condition(prediction, evidence, CALIBRATION)


def test_what_was_said_is_in_the_download(prediction: Prediction) -> None:
    said = condition(prediction, Evidence(country="FR", box=ALSACE), CALIBRATION)
    written = json.loads(json.dumps(said.to_dict()))["evidence"]
    assert written == {
        "country": "FR",
        "box": {"south_deg": 47.4, "north_deg": 49.1, "west_deg": 6.8, "east_deg": 8.3},
        "probability": round(said.evidence_probability, 6),
    }


def test_the_engine_keeps_its_posterior(engine: CountryEngine, make_photos: Callable[[int], list[Photo]]) -> None:
    (prediction,) = engine.predict(make_photos(1), top_k=2)
    (whole,) = engine.predict(make_photos(1), top_k=4)
    by_classifier = {guess.country: guess.probability for guess in whole.countries}
    assert prediction.posterior.by_country() == pytest.approx(by_classifier, abs=1e-12)
    left = condition(prediction, Evidence(country="CN"), engine.card.calibration)
    assert left.place.country == "CN"
    assert left.evidence_probability == pytest.approx(by_classifier["CN"])


def test_a_landmark_whose_name_holds_its_city_does_not_get_it_twice() -> None:
    named = replace(SAGRADA, name="Sagrada Família, Barcelona")
    assert predict(CALIBRATION, named).area.city == ""
