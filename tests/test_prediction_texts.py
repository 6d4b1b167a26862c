from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from triovision.geo import WeightedPlaces
from triovision.guesses import Area, AreaKind, CountryGuess, PlaceGuess
from triovision.languages import ENGLISH, get_translator
from triovision.prediction_texts import (
    area_sentence,
    area_title,
    camera_rows,
    candidates,
    confidence_level,
    confidence_name,
    confidence_text,
    explained_text,
    guess_text,
    legend_text,
    other_countries,
    place_rows,
    title_probability,
)
from triovision.results import CameraFacts, Explanation, Prediction

AREAS: dict[AreaKind, Area] = {
    "landmark": Area(
        kind="landmark", probability=0.86, name="Sagrada Família", city="Barcelona", country="ES", radius_km=1
    ),
    "place": Area(kind="place", probability=0.5, name="Lima", country="PE", radius_km=12.4),
    "region": Area(kind="region", probability=0.5, name="Lima", country="PE", radius_km=120),
    "country": Area(kind="country", probability=0.93, country="PE"),
    "part_of_world": Area(kind="part_of_world", probability=0.91, part_of_world="030"),
    "unknown": Area(kind="unknown", probability=1),
}


def prediction(kind: AreaKind, first: float = 0.93, calibrated: bool = True) -> Prediction:
    place = PlaceGuess("Lima", "PE", -12, -77, 0.5)
    return Prediction(
        photo="a.jpg",
        model="m",
        countries=(CountryGuess("PE", first),),
        country_set=("PE",),
        place=place,
        radius_km=100,
        radius_90_km=900,
        places=(place,),
        posterior=WeightedPlaces(
            lat_deg=np.array([-12.0]), lon_deg=np.array([-77.0]), weight=np.ones(1), countries=np.array(["PE"])
        ),
        area=AREAS[kind],
        abstained=kind in ("part_of_world", "unknown"),
        calibrated=calibrated,
        elapsed_ms=1,
        device="cpu",
        precision="float32",
    )


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("landmark", "Sagrada Família, Barcelona"),
        ("place", "Peru · Lima"),
        ("region", "Around Lima, Peru (within 120 km)"),
        ("country", "Peru"),
        ("part_of_world", "Somewhere in Eastern Asia"),
        ("unknown", "Not sure where this is"),
    ],
)
def test_the_title_names_the_area_and_nothing_smaller(kind: AreaKind, title: str) -> None:
    assert area_title(AREAS[kind], ENGLISH) == title


def test_a_landmark_outside_cities_has_its_country() -> None:
    assert area_title(replace(AREAS["landmark"], city=""), ENGLISH) == "Sagrada Família, Spain"
    assert area_title(replace(AREAS["landmark"], city=""), get_translator("fr")) == "Sagrada Família, Espagne"


def test_a_name_with_an_article_has_it() -> None:
    assert area_title(replace(AREAS["part_of_world"], part_of_world="029"), ENGLISH) == "Somewhere in the Caribbean"


@pytest.mark.parametrize(
    ("kind", "calibrated", "words"),
    [
        ("landmark", True, "within about 1 km of it"),
        ("place", True, "Half of the probability lies within 12 km of Lima."),
        ("place", False, "Half of the model's scores lie within 12 km of Lima."),
        ("region", True, "Half of the probability lies within 120 km of Lima."),
        ("country", True, "No place in this country"),
        ("part_of_world", True, "not sure of the country"),
        ("unknown", True, "does not recognise enough"),
    ],
)
def test_the_sentence_says_what_the_radius_holds_or_why_there_is_none(
    kind: AreaKind, calibrated: bool, words: str
) -> None:
    assert words in area_sentence(prediction(kind, calibrated=calibrated), ENGLISH)


@pytest.mark.parametrize(
    ("kind", "first", "probability", "level"),
    [
        ("landmark", 0.2, 0.86, "fairly"),
        ("place", 0.93, 0.93, "very"),
        ("region", 0.6, 0.6, "fairly"),
        ("country", 0.49, 0.49, "not"),
        ("part_of_world", 0.2, 0.91, "very"),
        ("unknown", 0.2, None, "not"),
    ],
)
def test_confidence_is_that_in_what_the_title_names(
    kind: AreaKind, first: float, probability: float | None, level: str
) -> None:
    assert title_probability(prediction(kind, first)) == probability
    assert confidence_level(prediction(kind, first)) == level


@pytest.mark.parametrize("kind", AREAS)
def test_an_uncalibrated_model_says_so_and_gives_no_percentage(kind: AreaKind) -> None:
    found = prediction(kind, calibrated=False)
    assert confidence_name(found, ENGLISH) == "Uncalibrated"
    assert title_probability(found) is None
    assert "%" not in area_sentence(found, ENGLISH)
    assert confidence_text(found, ENGLISH) == "Uncalibrated"
    assert guess_text(found.countries[0], found.calibrated, ENGLISH) == "Peru"


def test_confidence_and_candidates_have_their_probability() -> None:
    found, french = prediction("unknown", 0.934), get_translator("fr")
    assert confidence_text(found, ENGLISH) == "Not sure"
    assert confidence_text(replace(found, area=AREAS["country"]), ENGLISH) == "Very sure · 93%"
    assert [guess_text(guess, True, french) for guess in candidates(found)] == ["Pérou (93\u202f%)"]


@pytest.mark.parametrize("kind", AREAS)
def test_other_countries_are_named_below_a_title_with_a_country(kind: AreaKind) -> None:
    found = replace(prediction(kind), country_set=("PE", "BO", "EC", "CO", "CL", "BR", "AR", "UY"))
    sentence = other_countries(found, ENGLISH)
    assert other_countries(prediction(kind), ENGLISH) == ""
    if kind in ("place", "region", "country"):
        assert sentence == "It could also be: Bolivia, Ecuador, Colombia, Chile, Brazil and 2 more."
        assert not candidates(found)
    else:
        assert sentence == ""
        assert bool(candidates(found)) is (kind != "landmark")


def test_the_best_place_is_the_landmark_if_one_is_recognised() -> None:
    found = replace(prediction("place"), radius_km=9.96, radius_90_km=1234.5)
    assert list(place_rows(found, ENGLISH).values()) == ["Lima (-12.000°, -77.000°)", "10 km", "1,234 km"]
    landmark = PlaceGuess("Sagrada Família", "ES", 41.4036, 2.1744, 0.86)
    assert place_rows(replace(found, landmark=landmark), ENGLISH)["Best place"] == "Sagrada Família (41.404°, 2.174°)"


def test_a_fact_that_the_camera_did_not_write_is_said_to_be_missing() -> None:
    camera = CameraFacts(camera="Acme 7", lat_deg=38.72, lon_deg=-9.14)
    assert camera_rows(camera, ("taken", "camera", "position", "software"), ENGLISH) == {
        "Taken": "not in the file",
        "Camera": "Acme 7",
        "Position in the file": "38.72000°, -9.14000°",
        "Software that wrote the file": "not in the file",
    }
    assert list(camera_rows(camera, ("camera",), get_translator("fr")).values()) == ["Acme 7"]


@pytest.mark.parametrize(
    ("against", "signed", "explained", "legend"),
    [
        (None, False, "Peru", "Bright areas contributed most to Peru, dark areas little."),
        (None, True, "Peru", "Orange speaks for Peru, blue against it."),
        ("BO", True, "Peru and not Bolivia", "Orange speaks for Peru, blue for Bolivia."),
    ],
)
def test_the_legend_of_a_heat_map_names_its_colours(
    against: str | None, signed: bool, explained: str, legend: str
) -> None:
    explanation = Explanation(
        photo="a.jpg",
        model="tiny.test",
        country="PE",
        against=against,
        method="Occlusion",
        layer="input",
        heatmap_hw=np.zeros((1, 1), np.float32),
        box=(0, 0, 1, 1),
        elapsed_ms=1.0,
        signed=signed,
    )
    assert explained_text(explanation, ENGLISH) == explained
    assert legend_text(explanation, ENGLISH).startswith(legend)
