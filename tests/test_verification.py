from dataclasses import replace

import numpy as np
import pytest

from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import Prediction
from triovision.verification import verify_place

PARIS, LYON, NICE, BRUSSELS = (48.8566, 2.3522), (45.764, 4.8357), (43.7102, 7.262), (50.8503, 4.3517)
ROME, TOKYO, ATLANTIC = (41.9028, 12.4964), (35.6762, 139.6503), (30.0, -40.0)
#: Paris, with 50 % within 100 km and 90 % within 400 km: Lyon lies 392 km away, Brussels 264, Nice 686.
PREDICTION = Prediction(
    photo="a.jpg",
    model="m",
    countries=(CountryGuess("FR", 0.9), CountryGuess("BE", 0.08), CountryGuess("IT", 0.02)),
    country_set=("FR",),
    place=PlaceGuess("Paris", "FR", *PARIS, 0.5),
    radius_km=100,
    radius_90_km=400,
    places=(PlaceGuess("Paris", "FR", *PARIS, 0.5),),
    posterior=WeightedPlaces(
        lat_deg=np.array([48.8566]), lon_deg=np.array([2.3522]), weight=np.array([1.0]), countries=np.array(["FR"])
    ),
    area=Area(kind="country", probability=0.9, country="FR"),
    abstained=False,
    elapsed_ms=1,
    device="cpu",
    precision="float32",
)


@pytest.mark.parametrize(
    ("place", "kind", "country", "probability", "in_set"),
    [
        (PARIS, "agrees", "FR", 0.9, True),
        (LYON, "agrees", "FR", 0.9, True),  # within 90 %, in a country of the set
        (NICE, "possible", "FR", 0.9, True),  # outside of the radius
        (BRUSSELS, "possible", "BE", 0.08, False),  # outside of the set
        (ROME, "contradicts", "IT", 0.02, False),
        (TOKYO, "unknown_country", "JP", None, False),
        (ATLANTIC, "contradicts", None, None, False),
    ],
)
def test_a_place_is_contradicted_only_outside_of_both(place, kind, country, probability, in_set):
    verdict = verify_place(PREDICTION, *place)
    assert (verdict.kind, verdict.country, verdict.country_probability, verdict.in_country_set) == (
        kind,
        country,
        probability,
        in_set,
    )


def test_the_numbers_are_in_the_verdict():
    verdict = verify_place(PREDICTION, *LYON)
    assert verdict.distance_km == pytest.approx(392, abs=1)
    assert (verdict.radius_km, verdict.radius_90_km) == (100, 400)


def test_a_model_that_abstains_or_is_not_calibrated_does_not_judge():
    assert verify_place(replace(PREDICTION, abstained=True), *ROME).kind == "not_sure"
    assert verify_place(replace(PREDICTION, abstained=True), *PARIS).kind == "not_sure"
    assert verify_place(replace(PREDICTION, calibrated=False), *ROME).kind == "uncalibrated"


def test_a_position_off_the_earth_is_refused():
    with pytest.raises(ValueError, match="±90"):
        verify_place(PREDICTION, 91, 0)
