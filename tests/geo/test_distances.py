import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triovision.geo import THRESHOLDS_KM, distance_km, geo_score

QUARTER_KM = 6371.0088 * math.pi / 2
latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


def unit_vector(lat_deg, lon_deg):
    lat, lon = math.radians(lat_deg), math.radians(lon_deg)
    return np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])


@pytest.mark.parametrize(
    ("here", "there", "quarters"),
    [
        ((0, 0), (0, 90), 1),
        ((90, 0), (0, 123), 1),
        ((90, 0), (-90, 77), 2),
        ((90, -50), (90, 130), 0),
        ((0, 179.5), (0, -179.5), 1 / 90),
        ((48.85, 2.35), (-48.85, -177.65), 2),
        ((-33.9, 151.2), (-33.9, 151.2), 0),
        ((45, -90), (45, 90), 1),
    ],
)
def test_distances_that_are_whole_parts_of_a_quarter_circle(here, there, quarters):
    assert distance_km(*here, *there) == pytest.approx(quarters * QUARTER_KM, abs=1e-6)


def test_a_metre_from_the_antipode_keeps_its_digits():
    offset_deg = 1e-5
    expected = 2 * QUARTER_KM - math.radians(offset_deg) * 6371.0088
    assert distance_km(0, 0, 0, 180 - offset_deg) == pytest.approx(expected, rel=0, abs=1e-9)


@settings(deadline=None)  # no test asserts wall-clock time
@given(latitudes, longitudes, latitudes, longitudes)
def test_equals_the_angle_between_unit_vectors(lat1, lon1, lat2, lon2):
    one, other = unit_vector(lat1, lon1), unit_vector(lat2, lon2)
    angle = 2 * math.atan2(np.linalg.norm(one - other), np.linalg.norm(one + other))
    assert distance_km(lat1, lon1, lat2, lon2) == pytest.approx(6371.0088 * angle, abs=1e-6)


def test_broadcasts_and_passes_missing_positions_on():
    distances = distance_km(np.array([[0.0], [math.nan]]), 0, 0, np.array([0.0, 90.0, -90.0]))
    assert distances.shape == (2, 3)
    assert distances[0] == pytest.approx([0, QUARTER_KM, QUARTER_KM])
    assert np.isnan(distances[1]).all()
    assert np.ndim(distance_km(0, 0, 0, 1)) == 0


def test_geo_score_falls_by_e_every_1492_7_km():
    assert geo_score([0, 1492.7, 2 * 1492.7]) == pytest.approx([5000, 5000 / math.e, 5000 / math.e**2])
    assert math.isnan(geo_score(math.nan))


def test_thresholds_are_those_of_the_published_tables():
    assert THRESHOLDS_KM == (1, 25, 200, 750, 2500)
