import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from triovision.geo import CandidatePlaces, Evidence, Near, city_places, distance_km, geo_score

COUNTRIES = ("US", "JP", "PT", "SG", "NA", "AQ")
probabilities = hnp.arrays(np.float64, len(COUNTRIES), elements=st.floats(0.001, 1)).map(lambda x: x / x.sum())


@pytest.fixture(scope="module")
def candidates():
    return CandidatePlaces(COUNTRIES)


@pytest.fixture(scope="module")
def locate(candidates):
    def locate_(probability, top_places):
        return candidates.weighted(probability).locate(COUNTRIES[int(np.argmax(probability))], top_places)

    return locate_


@settings(deadline=None)  # no test asserts wall-clock time
@given(probability=probabilities)
def test_each_country_keeps_its_probability(candidates, probability):
    marginal = candidates.weighted(probability).by_country()
    assert marginal == pytest.approx(dict(zip(COUNTRIES, probability, strict=True)), abs=1e-12)


def test_a_country_is_shared_by_population_and_equally_where_nobody_counted(candidates):
    weight = candidates.weighted(np.array([0.6, 0, 0, 0, 0, 0.4])).weight
    cities = candidates.cities
    of_us = np.array(cities.countries) == "US"
    assert weight[of_us] == pytest.approx(0.6 * cities.population[of_us] / cities.population[of_us].sum())
    of_antarctica = np.array(cities.countries) == "AQ"
    assert weight[of_antarctica] == pytest.approx(0.4 / of_antarctica.sum())


@settings(deadline=None)  # no test asserts wall-clock time
@given(probability=probabilities)
def test_best_place_has_the_greatest_expected_score_within_the_most_probable_country(candidates, locate, probability):
    posterior = locate(probability, 4)
    cities, weight = candidates.cities, candidates.weighted(probability).weight
    country = COUNTRIES[int(np.argmax(probability))]
    expected = {
        name: (weight * geo_score(distance_km(lat_deg, lon_deg, cities.lat_deg, cities.lon_deg))).sum()
        for code, name, lat_deg, lon_deg in zip(
            cities.countries, cities.names, cities.lat_deg, cities.lon_deg, strict=True
        )
        if code == country
    }
    assert posterior.place.country == country
    assert expected[posterior.place.name] == pytest.approx(max(expected.values()))

    around = distance_km(posterior.place.lat_deg, posterior.place.lon_deg, cities.lat_deg, cities.lon_deg)
    assert weight[around <= posterior.radius_km + 1e-6].sum() >= 0.5 - 1e-9
    assert weight[around <= posterior.radius_90_km + 1e-6].sum() >= 0.9 - 1e-9
    assert posterior.radius_km == 25 or weight[around < posterior.radius_km - 1e-6].sum() < 0.5

    assert [place.probability for place in posterior.places] == sorted(weight, reverse=True)[:4]


def test_places_near_by_in_other_countries_count(candidates, locate):
    """Anywhere on Earth the place may lie outside the most probable country, where more of the rest is near."""
    probability = np.array([0.4, 0.35, 0.25, 0, 0, 0])
    inside = locate(probability, 1).place
    anywhere = candidates.weighted(probability).locate(None, 1).place
    assert inside.country == "US"
    assert anywhere.country != "US"


def test_a_certain_city_still_spans_what_it_stands_for(locate):
    posterior = locate(np.eye(len(COUNTRIES))[COUNTRIES.index("SG")], 3)
    assert (posterior.place.name, posterior.place.country) == ("Singapore", "SG")
    assert posterior.place.probability == 1
    assert posterior.radius_km == 25
    assert posterior.places[0] == posterior.place


def test_accepts_the_rounding_of_a_float32_softmax(locate):
    probability = np.array([0.1, 0.2, 0.3, 0.1, 0.1, 0.2], np.float32) * np.float32(1 + 3e-7)
    assert locate(probability, 1).place.country == "PT"


@pytest.mark.parametrize("probability", [np.ones(1), np.full(6, 0.5), np.full(7, 1 / 7)])
def test_refuses_probabilities_of_other_countries(candidates, probability):
    with pytest.raises(ValueError, match=r"weights must|must hold 6 values"):
        candidates.weighted(probability)


def test_all_cities_stand_in_for_an_area_without_a_candidate():
    probability = {"FR": 0.6, "DE": 0.4}
    everywhere = city_places(probability)
    assert everywhere.by_country() == pytest.approx(probability)
    assert len(everywhere.weight) > 1000
    colmar = Near(name="Colmar", lat_deg=48.08, lon_deg=7.36, radius_km=45)  # on both sides of the Rhine
    around = everywhere.condition(Evidence(near=colmar))
    assert {"Colmar", "Mulhouse", "Freiburg"} <= set(around.names)
    assert set(around.by_country()) == {"FR", "DE"}
    assert distance_km(48.08, 7.36, around.lat_deg, around.lon_deg).max() <= 45


def test_a_country_with_no_known_place_is_left_out():
    assert city_places({"FR": 0.5, "HM": 0.5}).by_country() == pytest.approx({"FR": 1})
