import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from triovision.geo import CandidatePlaces, distance_km, expected_distance_km, radius_holding_km

QUARTER_KM = 6371.0088 * math.pi / 2
COUNTRIES = ("US", "JP", "PT", "SG", "NA", "AQ")
probabilities = hnp.arrays(np.float64, len(COUNTRIES), elements=st.floats(0.001, 1)).map(lambda x: x / x.sum())


@pytest.fixture(scope="module")
def candidates():
    return CandidatePlaces(COUNTRIES)


def matrix_km(lat_deg, lon_deg):
    lat_deg, lon_deg = np.asarray(lat_deg, float), np.asarray(lon_deg, float)
    return distance_km(lat_deg[:, None], lon_deg[:, None], lat_deg, lon_deg)


def test_expected_distance_worked_out_by_hand():
    distances = matrix_km([0, 0, 0], [0, 90, 180])
    expected = expected_distance_km(distances, np.array([0.5, 0.25, 0.25]))
    assert expected == pytest.approx(np.array([0.75, 0.75, 1.25]) * QUARTER_KM)


def test_across_the_date_line_and_at_the_pole():
    across = expected_distance_km(matrix_km([0, 0], [179, -179]), np.array([0.5, 0.5]))
    assert across == pytest.approx([QUARTER_KM / 90, QUARTER_KM / 90])
    around_pole = expected_distance_km(matrix_km([90, 90, 0], [10, -170, 33]), np.array([0.25, 0.25, 0.5]))
    assert around_pole == pytest.approx(np.array([0.5, 0.5, 0.5]) * QUARTER_KM)


@settings(deadline=None)  # no test asserts wall-clock time
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 0))
def test_an_antipodal_pair_is_a_quarter_circle_away_on_average_from_everywhere(lat, lon, pole_lat, pole_lon):
    distances = distance_km(lat, lon, np.array([pole_lat, -pole_lat]), np.array([pole_lon, pole_lon + 180]))
    assert expected_distance_km(distances[None], np.array([0.5, 0.5])) == pytest.approx([QUARTER_KM])


@settings(deadline=None)  # no test asserts wall-clock time
@given(
    hnp.arrays(np.float64, (6, 3), elements=st.floats(-1, 1)).filter(
        lambda x: bool((np.linalg.norm(x, axis=1) > 0.1).all())
    ),
    st.floats(0, 360),
    st.floats(0, 360),
)
def test_answers_do_not_change_when_the_globe_is_turned(vectors, about_z_deg, about_x_deg):
    z, x = math.radians(about_z_deg), math.radians(about_x_deg)
    turn_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    weight = np.array([0.3, 0.25, 0.2, 0.15, 0.07, 0.03])

    def answers(points):
        lat_deg = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
        distances = matrix_km(lat_deg, np.degrees(np.arctan2(points[:, 1], points[:, 0])))
        return expected_distance_km(distances, weight), radius_holding_km(distances[0], weight)

    (expected, radius), (turned, turned_radius) = answers(vectors), answers(vectors @ (turn_x @ turn_z).T)
    assert turned == pytest.approx(expected, abs=1e-5)
    assert turned_radius == pytest.approx(radius, abs=1e-5)


@pytest.mark.parametrize(
    ("distances", "weight", "share", "radius"),
    [
        ([0, 1, 2, 3], [0.1, 0.4, 0.3, 0.2], 0.5, 1),
        ([0, 1, 2, 3], [0.1, 0.4, 0.3, 0.2], 0.51, 2),
        ([3, 0, 2, 1], [0.2, 0.1, 0.3, 0.4], 0.8, 2),
        ([7, 5, 5, 0], [0.4, 0.2, 0.2, 0.2], 0.5, 5),
        (range(10), [0.1] * 10, 0.3, 2),  # 0.1 + 0.1 + 0.1 is not 0.3 in binary
        (range(10), [0.1] * 10, 1, 9),
        ([0, 4], [1, 0], 1, 0),
        ([12.5], [1], 0.5, 12.5),
    ],
)
def test_smallest_radius_that_holds_a_share(distances, weight, share, radius):
    assert radius_holding_km(np.array(distances, float), np.array(weight, float), share) == radius


@pytest.mark.parametrize("weight", [[0.5, 0.4], [0.9, 0.2], [1.5, -0.5], [math.nan, 1], [math.inf, 0], [[0.5, 0.5]]])
def test_refuses_weights_that_are_no_probabilities(weight):
    with pytest.raises(ValueError, match="weights must"):
        expected_distance_km(np.zeros((2, 2)), np.array(weight))
    with pytest.raises(ValueError, match="weights must"):
        radius_holding_km(np.zeros(2), np.array(weight))


@pytest.mark.parametrize("share", [0, -1, 1.1, math.nan])
def test_refuses_a_share_that_no_radius_holds(share):
    with pytest.raises(ValueError, match="share"):
        radius_holding_km(np.zeros(1), np.ones(1), share)


@settings(deadline=None)  # no test asserts wall-clock time
@given(probability=probabilities)
def test_each_country_keeps_its_probability(candidates, probability):
    weight = candidates.weights(probability)
    marginal = [weight[np.array(candidates.cities.countries) == country].sum() for country in COUNTRIES]
    assert marginal == pytest.approx(probability, abs=1e-12)


def test_a_country_is_shared_by_population_and_equally_where_nobody_counted(candidates):
    weight = candidates.weights(np.array([0.6, 0, 0, 0, 0, 0.4]))
    cities = candidates.cities
    of_us = np.array(cities.countries) == "US"
    assert weight[of_us] == pytest.approx(0.6 * cities.population[of_us] / cities.population[of_us].sum())
    of_antarctica = np.array(cities.countries) == "AQ"
    assert weight[of_antarctica] == pytest.approx(0.4 / of_antarctica.sum())


@settings(deadline=None)  # no test asserts wall-clock time
@given(probability=probabilities)
def test_best_place_is_the_least_expected_error_within_the_most_probable_country(candidates, probability):
    posterior = candidates.locate(probability, top_places=4)
    cities, weight = candidates.cities, candidates.weights(probability)
    country = COUNTRIES[int(np.argmax(probability))]
    expected = {
        name: (weight * distance_km(lat_deg, lon_deg, cities.lat_deg, cities.lon_deg)).sum()
        for code, name, lat_deg, lon_deg in zip(
            cities.countries, cities.names, cities.lat_deg, cities.lon_deg, strict=True
        )
        if code == country
    }
    assert posterior.place.country == country
    assert expected[posterior.place.name] == pytest.approx(min(expected.values()))

    around = distance_km(posterior.place.lat_deg, posterior.place.lon_deg, cities.lat_deg, cities.lon_deg)
    assert weight[around <= posterior.radius_km + 1e-6].sum() >= 0.5 - 1e-9
    assert posterior.radius_km == 25 or weight[around < posterior.radius_km - 1e-6].sum() < 0.5

    assert [place.probability for place in posterior.places] == sorted(weight, reverse=True)[:4]


def test_other_countries_pull_the_place_towards_themselves(candidates):
    with_japan = candidates.locate(np.array([0.52, 0.48, 0, 0, 0, 0]), 1).place
    with_portugal = candidates.locate(np.array([0.52, 0, 0.48, 0, 0, 0]), 1).place
    assert with_japan.country == with_portugal.country == "US"
    assert with_japan.lon_deg < -110 < -80 < with_portugal.lon_deg


def test_a_certain_city_still_spans_what_it_stands_for(candidates):
    posterior = candidates.locate(np.eye(len(COUNTRIES))[COUNTRIES.index("SG")], 3)
    assert (posterior.place.name, posterior.place.country) == ("Singapore", "SG")
    assert posterior.place.probability == 1
    assert posterior.radius_km == 25
    assert posterior.places[0] == posterior.place


def test_accepts_the_rounding_of_a_float32_softmax(candidates):
    probability = np.array([0.1, 0.2, 0.3, 0.1, 0.1, 0.2], np.float32) * np.float32(1 + 3e-7)
    assert candidates.locate(probability, 1).place.country == "PT"


@pytest.mark.parametrize("probability", [np.ones(1), np.full(6, 0.5), np.full(7, 1 / 7)])
def test_refuses_probabilities_of_other_countries(candidates, probability):
    with pytest.raises(ValueError, match=r"weights must|must hold 6 values"):
        candidates.locate(probability, 1)
