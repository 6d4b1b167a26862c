import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from triovision.errors import EvidenceError
from triovision.geo import Box, Evidence, WeightedPlaces, radius_holding_km

QUARTER_KM = 6371.0088 * math.pi / 2
WEIGHT = np.array([0.3, 0.25, 0.2, 0.15, 0.07, 0.03])


def places(lat_deg, lon_deg, weight, countries=None, names=(), **options):
    return WeightedPlaces(
        lat_deg=np.array(lat_deg, float),
        lon_deg=np.array(lon_deg, float),
        weight=np.array(weight, float),
        countries=np.array(countries or ["FR"] * len(lat_deg)),
        names=names,
        **options,
    )


def scattered(n, seed=0, countries=("FR", "JP", "US")):
    random = np.random.default_rng(seed)
    lat_deg = np.degrees(np.arcsin(random.uniform(-1, 1, n)))
    return places(
        lat_deg, random.uniform(-180, 180, n), random.dirichlet(np.full(n, 0.3)), random.choice(countries, n).tolist()
    )


def test_expected_distance_worked_out_by_hand():
    three = places([0, 0, 0], [0, 90, 180], [0.5, 0.25, 0.25])
    expected = three.expected_distance_km(three.lat_deg, three.lon_deg)
    assert expected == pytest.approx(np.array([0.75, 0.75, 1.25]) * QUARTER_KM)


def test_across_the_date_line_and_at_the_pole():
    across = places([0, 0], [179, -179], [0.5, 0.5])
    assert across.expected_distance_km(0, 180) == pytest.approx([QUARTER_KM / 90])
    assert across.expected_distance_km(across.lat_deg, across.lon_deg) == pytest.approx([QUARTER_KM / 90] * 2)
    around_pole = places([90, 90, 0], [10, -170, 33], [0.25, 0.25, 0.5])
    expected = around_pole.expected_distance_km(around_pole.lat_deg, around_pole.lon_deg)
    assert expected == pytest.approx(np.array([0.5, 0.5, 0.5]) * QUARTER_KM)


@settings(deadline=None)  # no test asserts wall-clock time
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 0))
def test_an_antipodal_pair_is_a_quarter_circle_away_on_average_from_everywhere(lat, lon, pole_lat, pole_lon):
    pair = places([pole_lat, -pole_lat], [pole_lon, pole_lon + 180], [0.5, 0.5])
    assert pair.expected_distance_km(lat, lon) == pytest.approx([QUARTER_KM])


def turned(vectors, about_z_deg, about_x_deg):
    z, x = math.radians(about_z_deg), math.radians(about_x_deg)
    turn_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    return vectors @ (turn_x @ turn_z).T


def of_vectors(vectors):
    lat_deg = np.degrees(np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1])))
    return places(lat_deg, np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])), WEIGHT)


@settings(deadline=None, max_examples=50)  # no test asserts wall-clock time
@given(
    hnp.arrays(np.float64, (6, 3), elements=st.floats(-1, 1)).filter(
        lambda x: bool((np.linalg.norm(x, axis=1) > 0.1).all())
    ),
    st.floats(0, 360),
    st.floats(0, 360),
)
def test_answers_do_not_change_when_the_globe_is_turned(vectors, about_z_deg, about_x_deg):
    def answers(points):
        best = points.best_place()
        medoid_km = points.expected_distance_km(points.lat_deg[best], points.lon_deg[best])[0]
        median_km = points.expected_distance_km(*points.best_point())[0]
        radii = [points.radius_holding_km(points.lat_deg[0], points.lon_deg[0], share) for share in (0.52, 0.9)]
        return [medoid_km, median_km, *radii]

    before, after = of_vectors(vectors), of_vectors(turned(vectors, about_z_deg, about_x_deg))
    # 20 m: the median is looked for until a step is below 6 m.
    assert answers(after) == pytest.approx(answers(before), abs=0.02)


def test_the_best_point_beats_every_place_and_the_score_stays_with_one_cluster():
    two = places([0, 0, 0], [0, 1, 100], [0.3, 0.3, 0.4])
    lat_deg, lon_deg = two.best_point()
    assert (lat_deg, lon_deg) == pytest.approx((0, 1), abs=1e-4)  # the median on a line, by hand
    lat_deg, lon_deg = two.best_point("geo_score")
    assert lat_deg == pytest.approx(0, abs=1e-4)
    assert -0.01 < lon_deg < 1.01
    set_of_60 = scattered(60)
    expected_km = set_of_60.expected_distance_km(*set_of_60.best_point())[0]
    assert expected_km <= set_of_60.expected_distance_km(set_of_60.lat_deg, set_of_60.lon_deg).min()


@pytest.mark.parametrize("country", [None, "FR", "JP"])
@pytest.mark.parametrize("n", [1, 20, 900])
def test_the_best_place_has_the_least_expected_distance(n, country):
    points = scattered(n, seed=n, countries=("FR", "FR", "JP") if n > 1 else (country or "FR",))
    among = np.flatnonzero((points.countries == country) | (country is None))
    expected_km = points.expected_distance_km(points.lat_deg[among], points.lon_deg[among])
    best = points.best_place(country)
    assert country in (None, points.countries[best])
    found_km = points.expected_distance_km(points.lat_deg[best], points.lon_deg[best])[0]
    # Of 900 points, cells of 1,000 km choose the finalists: no farther from the best than a thousandth.
    assert found_km <= expected_km.min() * (1 if n <= 20 else 1.001) + 1e-3


def test_the_best_place_by_score_is_another_one():
    far = places([0, 0, 0], [0, 60, 120], [0.45, 0.1, 0.45])
    assert far.best_place() == 1
    assert far.best_place(objective="geo_score") in (0, 2)


def test_a_country_without_a_point_has_no_best_place():
    with pytest.raises(ValueError, match="'DE'"):
        scattered(5).best_place("DE")


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


@pytest.mark.parametrize("weight", [[0.5, 0.4], [0.9, 0.2], [1.5, -0.5], [math.nan, 1], [math.inf, 0]])
def test_refuses_weights_that_are_no_probabilities(weight):
    with pytest.raises(ValueError, match="weights must"):
        places([0, 0], [0, 0], weight)
    with pytest.raises(ValueError, match="weights must"):
        radius_holding_km(np.zeros(2), np.array(weight))


@pytest.mark.parametrize("weight", [[], [[0.5, 0.5]]])
def test_refuses_no_weights_and_a_table_of_them(weight):
    with pytest.raises(ValueError, match="weights must"):
        radius_holding_km(np.zeros(2), np.array(weight))


@pytest.mark.parametrize("share", [0, -1, 1.1, math.nan])
def test_refuses_a_share_that_no_radius_holds(share):
    with pytest.raises(ValueError, match="fraction"):
        radius_holding_km(np.zeros(1), np.ones(1), share)


def test_radii_are_never_below_what_a_place_stands_for():
    points = places([0, 0, 0], [0, 1, 2], [0.6, 0.35, 0.05], resolution_km=25)
    assert points.radius_holding_km(0, 0) == 25
    assert points.radius_holding_km(0, 0, 0.9) == pytest.approx(QUARTER_KM / 90)


@pytest.mark.parametrize(
    "changed",
    [
        {"lat_deg": np.array([0.0])},
        {"lon_deg": np.array([0.0, 181.0])},
        {"lat_deg": np.array([0.0, math.nan])},
        {"lon_deg": np.array([0.0, -math.inf])},
        {"countries": np.array(["FR"])},
        {"names": ("Paris",)},
    ],
)
def test_refuses_points_that_do_not_fit_together_or_lie_nowhere(changed):
    whole = {
        "lat_deg": np.zeros(2),
        "lon_deg": np.zeros(2),
        "weight": np.array([0.5, 0.5]),
        "countries": np.array(["FR", "FR"]),
    }
    with pytest.raises(ValueError, match=r"must hold 2 values|must lie within"):
        WeightedPlaces(**(whole | changed))


def test_countries_are_summed_the_most_probable_first():
    points = places([0, 1, 2, 3], [0, 0, 0, 0], [0.2, 0.5, 0.2, 0.1], ["JP", "FR", "JP", "US"])
    assert points.by_country() == pytest.approx({"FR": 0.5, "JP": 0.4, "US": 0.1})
    assert list(points.by_country()) == ["FR", "JP", "US"]


def test_what_is_known_leaves_what_agrees_in_proportion():
    points = places([0, 1, 50, 3], [0, 0, 0, 0], [0.2, 0.5, 0.2, 0.1], ["JP", "FR", "JP", "US"], names="abcd")
    japan = Evidence(country="JP")
    left = points.condition(japan)
    assert points.probability_of(japan) == pytest.approx(0.4)
    assert (left.lat_deg.tolist(), list(left.names)) == ([0, 50], ["a", "c"])
    assert left.weight == pytest.approx([0.5, 0.5])
    assert left.by_country() == pytest.approx({"JP": 1})
    north = Evidence(box=Box(south_deg=2, north_deg=90, west_deg=-10, east_deg=10))
    assert points.condition(north).by_country() == pytest.approx({"JP": 2 / 3, "US": 1 / 3})


def test_knowing_twice_is_knowing_both():
    points = scattered(200)
    north = Evidence(box=Box(south_deg=0, north_deg=90, west_deg=-180, east_deg=180))
    both = Evidence(country="JP", box=north.box)
    one_by_one, at_once = points.condition(Evidence(country="JP")).condition(north), points.condition(both)
    assert one_by_one.weight == pytest.approx(at_once.weight)
    assert (one_by_one.lat_deg == at_once.lat_deg).all()


def test_nothing_left_is_an_error_that_says_what_to_do():
    points = places([0, 1], [0, 0], [1, 0], ["JP", "FR"])
    for nothing in (Evidence(country="DE"), Evidence(country="FR")):  # no point, and one of no probability
        assert points.probability_of(nothing) == 0
        with pytest.raises(EvidenceError, match=r"(DE|FR): no place .* agrees with it. Give less evidence"):
            points.condition(nothing)


def test_a_location_says_all_in_a_few_values():
    points = places([0, 0, 0], [0, 1, 3], [0.6, 0.25, 0.15], ["FR", "FR", "JP"], names=("a", "b", "c"))
    located = points.locate("FR", 2)
    assert (located.place.name, located.place.probability) == ("a", 0.6)
    degree_km = QUARTER_KM / 90
    assert (located.radius_km, located.radius_90_km) == pytest.approx((0, 3 * degree_km))
    assert [place.name for place in located.places] == ["a", "b"]
    assert points.locate("JP", 1).place.name == "c"


def test_the_density_is_that_of_the_points():
    found = scattered(40).density(500.0)
    assert found.probability.sum() == pytest.approx(1)
    assert found.width_km == 500
