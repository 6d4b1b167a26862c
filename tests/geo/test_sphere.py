import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from triovision.geo.equal_area import grid
from triovision.geo.sphere import angles, best_point, coarse, expected_cost, position_deg, unit_vectors

EARTH_KM = 6371.0088
OBJECTIVES = ("distance", "geo_score")


def random_set(random, n, spread):
    """Points around one to four centres."""
    centres = random.normal(size=(random.integers(1, 5), 3))
    xyz = centres[random.integers(0, len(centres), n)] + spread * random.normal(size=(n, 3))
    return xyz / np.linalg.norm(xyz, axis=1, keepdims=True), random.dirichlet(np.full(n, 0.3))


def rotation(about_z_deg, about_x_deg):
    z, x = math.radians(about_z_deg), math.radians(about_x_deg)
    turn_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    return turn_x @ turn_z


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("n", [2, 3, 20])
@pytest.mark.parametrize("spread", [0.05, 0.5, 5])  # close clusters, wide ones, all over the globe
def test_no_point_of_a_fine_grid_and_none_of_the_set_is_better(objective, n, spread):
    random = np.random.default_rng([n, int(100 * spread)])
    everywhere = grid(200).centres_xyz
    for _ in range(2):
        xyz, weight = random_set(random, n, spread)
        best = expected_cost(best_point(xyz, weight, objective)[None], xyz, weight, objective)[0]
        tried = np.concatenate([everywhere, xyz])
        # In radians and in shares of the score: 6 m, half a point of 5,000.
        assert best <= expected_cost(tried, xyz, weight, objective).min() + 1e-6


def test_costs_by_hand():
    xyz, weight = unit_vectors([0, 0, 0], [0, 90, 180]), np.array([0.5, 0.25, 0.25])
    at = unit_vectors([0, 90], [0, 0])
    quarter = math.pi / 2
    assert expected_cost(at, xyz, weight) == pytest.approx([0.75 * quarter, quarter])
    score = [math.exp(-EARTH_KM * angle / 1492.7) for angle in (0, quarter, 2 * quarter)]
    by_hand = [-(0.5 * score[0] + 0.25 * score[1] + 0.25 * score[2]), -score[1]]
    assert expected_cost(at, xyz, weight, "geo_score") == pytest.approx(by_hand)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("position", [(0, 0), (90, 0), (-90, 0), (12.5, 180), (-33, -179.9)])
def test_one_point_is_its_own_best(objective, position):
    assert position_deg(best_point(unit_vectors(*position)[None], np.ones(1), objective)) == pytest.approx(
        (position[0], position[1]), abs=1e-6
    )


def test_the_median_crosses_the_date_line_and_the_pole():
    three = unit_vectors([0, 0, 0], [178, -178, 180])
    assert position_deg(best_point(three, np.full(3, 1 / 3))) == pytest.approx((0, 180), abs=1e-4)
    around = unit_vectors([80, 80, 80, 80], [0, 90, 180, -90])
    assert position_deg(best_point(around, np.full(4, 0.25)))[0] == pytest.approx(90, abs=1e-4)


def test_half_of_the_weight_in_one_point_makes_it_the_median():
    random = np.random.default_rng(3)
    xyz, _ = random_set(random, 30, 5)
    weight = np.append(0.5, np.full(29, 0.5 / 29))
    assert angles(best_point(xyz, weight)[None], xyz[:1])[0, 0] < 1e-7


@settings(deadline=None)  # no test asserts wall-clock time
@given(st.floats(-90, 90), st.floats(-180, 0), st.floats(0.5, 1))
def test_of_an_antipodal_pair_the_median_is_the_heavier_and_all_of_earth_where_they_are_equal(lat, lon, heavier):
    pair, weight = unit_vectors([lat, -lat], [lon, lon + 180]), np.array([heavier, 1 - heavier])
    cost = expected_cost(best_point(pair, weight)[None], pair, weight)[0]
    assert cost == pytest.approx((1 - heavier) * math.pi, abs=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(deadline=None, max_examples=25)  # no test asserts wall-clock time
@given(
    xyz=hnp.arrays(np.float64, (6, 3), elements=st.floats(-1, 1)).filter(
        lambda x: bool((np.linalg.norm(x, axis=1) > 0.1).all())
    ),
    turn=st.builds(rotation, st.floats(0, 360), st.floats(0, 360)),
)
def test_the_best_point_turns_with_the_globe(objective, xyz, turn):
    xyz = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
    weight = np.array([0.3, 0.25, 0.2, 0.15, 0.07, 0.03])
    best, turned = best_point(xyz, weight, objective), best_point(xyz @ turn.T, weight, objective)
    # Where two points are as good, either may be found: what they cost is what turns along.
    costs = expected_cost(np.stack([best, turned @ turn]), xyz, weight, objective)
    assert costs[0] == pytest.approx(costs[1], abs=2e-6)


def test_a_large_set_is_made_coarse_without_losing_weight_and_its_median_stays():
    random = np.random.default_rng(5)
    xyz, weight = random_set(random, 3000, 0.4)
    few, held = coarse(xyz, weight)
    assert len(few) < len(xyz) / 3
    assert held.sum() == pytest.approx(1)
    assert np.linalg.norm(few, axis=1) == pytest.approx(np.ones(len(few)))
    best = expected_cost(best_point(xyz, weight)[None], xyz, weight)[0]
    assert best <= expected_cost(grid(500).centres_xyz, xyz, weight).min() + 1e-6


def test_a_weight_of_nothing_counts_for_nothing():
    xyz = unit_vectors([10, 50], [20, 60])
    assert position_deg(best_point(xyz, np.array([1.0, 0.0]))) == pytest.approx((10, 20))
