import csv
import io
import json

import numpy as np
import pytest

from triovision.agreement import comparison_csv, comparison_json, country_overlap, pair_agreements, top_countries
from triovision.errors import ModelError
from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import Prediction


def prediction(model, countries, lat_deg=48.8566, lon_deg=2.3522):
    place = PlaceGuess("Somewhere", next(iter(countries)), lat_deg, lon_deg, 1.0)
    return Prediction(
        photo="a.jpg",
        model=model,
        countries=tuple(CountryGuess(code, value) for code, value in countries.items()),
        country_set=(),
        place=place,
        radius_km=10,
        radius_90_km=20,
        places=(place,),
        posterior=WeightedPlaces(
            lat_deg=np.array([lat_deg]), lon_deg=np.array([lon_deg]), weight=np.array([1.0]), countries=np.array(["FR"])
        ),
        area=Area(kind="country", probability=0.5, country=place.country),
        abstained=False,
        elapsed_ms=12.5,
        device="cpu",
        precision="float32",
    )


FIRST = prediction("one.test", {"FR": 0.7, "DE": 0.3})
SECOND = prediction("two.test", {"FR": 0.5, "IT": 0.5}, 51.5074, -0.1278)
THIRD = prediction("three.test", {"JP": 1.0}, 35.68, 139.69)


def test_overlap_is_what_both_distributions_share():
    assert country_overlap(FIRST, FIRST) == 1
    assert country_overlap(FIRST, SECOND) == pytest.approx(0.5)  # half of France alone
    assert country_overlap(FIRST, THIRD) == 0


def test_every_pair_is_compared():
    pairs = pair_agreements([FIRST, SECOND, THIRD])
    assert [(pair.first, pair.second, pair.same_country) for pair in pairs] == [
        ("one.test", "two.test", True),
        ("one.test", "three.test", False),
        ("two.test", "three.test", False),
    ]
    assert pairs[0].distance_km == pytest.approx(343.6, abs=0.5)
    assert pair_agreements([FIRST]) == []


def test_the_top_countries_are_those_of_all_models():
    assert top_countries([FIRST, SECOND], 3) == ["FR", "IT", "DE"]
    assert top_countries([FIRST, SECOND, THIRD], 1) == ["FR"]


def test_a_comparison_is_saved_with_its_failures():
    content = json.loads(comparison_json([FIRST, SECOND], {"bad.test": ModelError("bad.test", "is damaged", "Go")}))
    assert [one["model"] for one in content["predictions"]] == ["one.test", "two.test"]
    assert content["agreement"][0]["country_overlap"] == 0.5
    assert content["failed"] == {"bad.test": "bad.test: is damaged. Go."}
    rows = list(csv.DictReader(io.StringIO(comparison_csv([FIRST, SECOND]))))
    assert [(row["model"], row["country"], row["probability"]) for row in rows] == [
        ("one.test", "FR", "0.700000"),
        ("two.test", "FR", "0.500000"),
    ]
    assert rows[0]["elapsed_ms"] == "12.500"


def test_the_table_runs_no_formula():
    (row,) = csv.DictReader(io.StringIO(comparison_csv([prediction("=1+1", {"FR": 0.7})])))
    assert row["model"] == "'=1+1"
