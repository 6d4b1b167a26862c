import numpy as np
import pytest

from triovision.geo.density import density
from triovision.geo.distances import distance_km
from triovision.geo.equal_area import grid
from triovision.geo.sphere import unit_vectors


@pytest.mark.parametrize("position", [(0, 0), (48.85, 2.35), (90, 0), (-90, 0), (-16.5, 180), (-16.5, -179.99)])
@pytest.mark.parametrize("width_km", [200.0, 2000.0])
def test_one_point_keeps_its_probability_where_it_is(position, width_km):
    found = density(unit_vectors(*position)[None], np.ones(1), width_km)
    assert found.probability.sum() == pytest.approx(1)
    south, west, north, east = found.bounds_deg[np.argmax(found.probability)]
    # No farther than the centre of a triangle at the pole is from its tip.
    assert distance_km(*position, (south + north) / 2, (west + east) / 2) < width_km


def test_it_is_the_kernel_at_every_cell():
    lat_deg, lon_deg = np.array([0.0, 64.0, -16.5]), np.array([0.0, 30.0, 179.9])
    weight = np.array([0.5, 0.3, 0.2])
    found = density(unit_vectors(lat_deg, lon_deg), weight, 300.0)
    cells = grid(300.0)
    x, y, z = cells.centres_xyz.T
    away_km = distance_km(lat_deg[:, None], lon_deg[:, None], np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x)))
    kernel = np.exp((6371.0088 / 300) ** 2 * (np.cos(away_km / 6371.0088) - 1)) * (away_km <= 900)
    by_hand = weight @ (kernel / kernel.sum(axis=1, keepdims=True))
    assert (found.bounds_deg == cells.bounds_deg[by_hand > 0]).all()
    assert found.probability == pytest.approx(by_hand[by_hand > 0])


def test_a_small_kernel_has_the_standard_deviation_that_it_says():
    found = density(unit_vectors(0, 0)[None], np.ones(1), 200.0)
    south, _, north, _ = found.bounds_deg.T
    middle_km = np.radians((south + north) / 2) * 6371.0088
    # Within three widths lies 1 - u·exp(-u) / (1 - exp(-u)) of the variance, u = 9 / 2: 0.949.
    assert np.sqrt(found.probability @ middle_km**2) == pytest.approx(200 * np.sqrt(0.949), rel=0.02)


def test_many_points_in_blocks_add_up():
    random = np.random.default_rng(0)
    xyz = random.normal(size=(5000, 3))
    xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
    weight = random.dirichlet(np.ones(5000))
    whole, half = density(xyz, weight, 500.0), density(xyz[:2000], weight[:2000] / weight[:2000].sum(), 500.0)
    rest = density(xyz[2000:], weight[2000:] / weight[2000:].sum(), 500.0)
    share = weight[:2000].sum()
    total = np.zeros(grid(500.0).n_cells)
    for part, factor in ((half, share), (rest, 1 - share)):
        rows = (grid(500.0).bounds_deg[:, None] == part.bounds_deg).all(axis=2).argmax(axis=0)
        total[rows] += factor * part.probability
    assert whole.probability == pytest.approx(total[total > 0])


def test_points_without_weight_leave_no_cell():
    found = density(unit_vectors([0, 50], [0, 50]), np.array([1.0, 0.0]), 200.0)
    assert found.bounds_deg[:, 2].max() < 10


def test_refuses_a_kernel_too_narrow_for_the_cells():
    with pytest.raises(ValueError, match="side_km"):
        density(unit_vectors([0], [0]), np.ones(1), 10.0)
