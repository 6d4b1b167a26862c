import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triovision.geo import Box, ShadowBand, distance_km, subsolar_point
from triovision.viz.map_geometry import (
    circle,
    disc,
    disc_bounds,
    drawn_box,
    great_circle,
    near_lon_deg,
    shadow_cells,
)

QUARTER_KM = 10007.557  # a quarter of a great circle of radius 6371.0088 km
positions = st.tuples(st.floats(-89, 89), st.floats(-180, 180))


def holds(rings, lat_deg, lon_deg):
    """Even-odd rule: a ray from the point due east crosses an odd number of edges."""
    crossings = 0
    for ring in rings:
        lat, lon = ring.T
        next_lat, next_lon = np.roll(lat, -1), np.roll(lon, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            meets = lon + (lat_deg - lat) / (next_lat - lat) * (next_lon - lon)
        crossings += int((((lat > lat_deg) != (next_lat > lat_deg)) & (meets > lon_deg)).sum())
    return crossings % 2 == 1


@pytest.mark.parametrize(("lon", "reference", "expected"), [(-179, 178, 181), (179, -178, -181), (10, 20, 10)])
def test_a_meridian_is_counted_on_the_side_of_its_neighbour(lon, reference, expected):
    assert near_lon_deg(lon, reference) == pytest.approx(expected)


@given(positions, st.floats(1, 19_000))
def test_a_circle_lies_at_its_radius(centre, radius_km):
    lat, lon = circle(*centre, radius_km).T
    assert distance_km(*centre, lat, lon) == pytest.approx(radius_km, rel=1e-6, abs=1e-3)


def test_a_circle_across_the_date_line_is_not_torn():
    ring = circle(-18, 179, 500)
    assert np.abs(np.diff(ring[:, 1])).max() < 1
    assert ring[:, 1].max() > 180
    assert ring[0] == pytest.approx(ring[-1])


def test_bounds_on_the_equator_are_the_radius_each_way():
    # 111.195 km to a degree of latitude, and of longitude at the equator.
    assert disc_bounds(0, 20, 1111.95) == pytest.approx(np.array([[-10, 10], [10, 30]]), abs=1e-3)


def test_bounds_of_a_disc_with_a_pole_hold_all_meridians_up_to_the_pole():
    (south, west), (north, east) = disc_bounds(80, 15, 2000)
    assert (north, east - west) == (90, 360)
    assert south == pytest.approx(80 - 2000 / 111.195, abs=1e-3)
    (south, _), (north, _) = disc_bounds(-80, 15, 2000)
    assert (south, north) == (-90, pytest.approx(-80 + 2000 / 111.195, abs=1e-3))


def test_bounds_of_a_disc_with_both_poles_are_the_world():
    assert disc_bounds(5, 30, 15_000).tolist() == [[-90, -150], [90, 210]]


@pytest.mark.parametrize(
    ("centre", "radius_km"),
    [
        ((48.9, 2.4), 300),
        ((-18, 179), 900),
        ((78, 15), 1500),
        ((78, 15), 4000),
        ((-85, -170), 2500),
        ((10, 100), QUARTER_KM + 500),
        ((10, 100), 13_000),
        ((-3, -60), 19_000),
    ],
)
def test_a_disc_holds_what_is_within_its_radius_and_nothing_else(centre, radius_km):
    rings = disc(*centre, radius_km)
    random = np.random.default_rng(0)
    lat, lon = np.degrees(np.arcsin(random.uniform(-0.99, 0.99, 400))), random.uniform(-180, 180, 400)
    for one_lat, one_lon in zip(lat, lon, strict=True):
        off_km = distance_km(*centre, one_lat, one_lon) - radius_km
        if abs(off_km) > 30:  # the rings are polygons
            assert holds(rings, one_lat, near_lon_deg(one_lon, centre[1])) == (off_km < 0)


@given(positions, positions)
def test_a_great_circle_is_as_long_as_the_distance_and_starts_and_ends_where_asked(start, end):
    line = great_circle(start, end)
    total = distance_km(*start, *end)
    steps = distance_km(*line[:-1].T, *line[1:].T)
    assert steps.sum() == pytest.approx(total, rel=1e-4, abs=1e-2)
    assert line[0] == pytest.approx(start, abs=1e-6)
    assert distance_km(*line[-1], *end) == pytest.approx(0, abs=0.1)


def test_the_way_from_japan_to_california_crosses_the_date_line_in_one_piece():
    line = great_circle((35, 140), (37, -122))
    assert np.abs(np.diff(line[:, 1])).max() < 10
    assert line[-1, 1] == pytest.approx(238)
    assert line[:, 0].max() > 45  # north about


def rectangle(south, west, north, east):
    ring = [[west, south], [west, north], [east, north], [east, south], [west, south]]
    return {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


@pytest.mark.parametrize(
    ("edges", "box"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((-20, 177, -15, 183), (-20, 177, -15, -177)),  # across the date line
        ((-20, -183, -15, -178), (-20, 177, -15, -178)),
        ((10, 380, 30, 400), (10, 20, 30, 40)),  # drawn on the next copy of the world
        ((-89, -200, 89, 200), (-89, -180, 89, 180)),  # all round
        ((-95, 0, 95, 10), (-90, 0, 90, 10)),
    ],
)
def test_a_rectangle_is_a_box_on_earth(edges, box):
    south, west, north, east = box
    expected = Box(south_deg=south, west_deg=west, north_deg=north, east_deg=east)
    assert drawn_box([rectangle(*edges)]) == expected
    assert drawn_box([rectangle(0, 0, 1, 1), rectangle(*edges)]) == expected  # the last one counts


TRIANGLE = {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0.5, 1], [0, 0]]]}}
LINE = {"geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}
POINT = {"geometry": {"type": "Point", "coordinates": [3, 4]}}


@pytest.mark.parametrize(
    "drawings",
    [
        None,
        [],
        [TRIANGLE],
        [LINE],
        [POINT],
        [rectangle(0, 0, 1, 1), POINT],
        [{}],
        [None],
        ["x"],
        7,
        {"a": 1},
        [{"geometry": None}],
        [{"geometry": {"coordinates": [["ab", "cd"]]}}],
        [rectangle(0, 0, math.nan, 1)],
        [rectangle(95, 0, 99, 1)],
    ],
)
def test_what_is_no_rectangle_is_no_box(drawings):
    assert drawn_box(drawings) is None


@pytest.mark.parametrize("tolerance_deg", [0.5, 3, 15])
def test_the_cells_of_a_shadow_form_a_ring_around_the_place_below_the_sun(tolerance_deg):
    band = ShadowBand(at=datetime(2024, 6, 21, 0, 0, tzinfo=UTC), sun_height_deg=40, tolerance_deg=tolerance_deg)
    rows = np.array(shadow_cells(band, lon_deg=175.0))
    south, west, north, east, _ = rows.T
    away_deg = np.degrees(distance_km(*subsolar_point(band.at), (south + north) / 2, (west + east) / 2) / 6371.0088)
    assert np.abs(away_deg - 50).max() <= tolerance_deg + 0.01
    assert np.abs((west + east) / 2 - 175).max() <= 180  # unbroken across the date line
    covered = ((np.sin(np.radians(north)) - np.sin(np.radians(south))) * (east - west)).sum() / 720
    ring = (math.sin(math.radians(40 + tolerance_deg)) - math.sin(math.radians(40 - tolerance_deg))) / 2
    assert covered == pytest.approx(ring, rel=0.05)
