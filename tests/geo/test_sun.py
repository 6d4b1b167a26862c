import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from triovision.errors import EvidenceError
from triovision.geo import ShadowBand, at_place, height_from_shadow_deg, subsolar_point, sun_position
from triovision.geo.equal_area import grid
from triovision.geo.sun import time_zone_at

SOLSTICE = datetime(2024, 6, 21, 9, 0, tzinfo=UTC)


def test_the_sun_of_the_worked_example_of_nrel():
    # Reda and Andreas, Solar Position Algorithm for Solar Radiation Applications, NREL/TP-560-34302, appendix A.5:
    # zenith 50.11162°, azimuth 194.34024°.
    at = datetime(2003, 10, 17, 12, 30, 30, tzinfo=timezone(timedelta(hours=-7)))
    sun = sun_position(39.742476, -105.1786, at)
    assert sun.height_deg == pytest.approx(90 - 50.11162, abs=0.02)
    assert sun.azimuth_deg == pytest.approx(194.34024, abs=0.02)


def test_at_the_equinox_the_noon_sun_stands_over_the_equator():
    # March equinox of 2024: 20 March, 03:06 UTC. The equation of time is -7.4 min that day.
    assert sun_position(0, 0, datetime(2024, 3, 20, 12, 7, 24, tzinfo=UTC)).height_deg == pytest.approx(90, abs=0.2)
    lat_deg, _ = subsolar_point(datetime(2024, 3, 20, 3, 6, tzinfo=UTC))
    assert lat_deg == pytest.approx(0, abs=0.01)


def test_at_the_solstice_the_sun_is_overhead_at_the_tropic():
    # June solstice of 2024: 20 June, 20:51 UTC; the obliquity of the ecliptic is 23.44°.
    assert subsolar_point(datetime(2024, 6, 20, 20, 51, tzinfo=UTC))[0] == pytest.approx(23.44, abs=0.01)


def test_in_the_southern_hemisphere_the_noon_sun_is_in_the_north():
    sun = sun_position(-33.87, 151.21, datetime(2024, 6, 21, 2, 0, tzinfo=UTC))  # noon in Sydney, in winter
    assert sun.height_deg == pytest.approx(90 - 33.87 - 23.44, abs=0.3)
    assert min(sun.azimuth_deg, 360 - sun.azimuth_deg) < 3


def test_the_sun_is_below_the_horizon_at_night_and_above_it_at_midnight_in_the_arctic_summer():
    assert sun_position(48.85, 2.35, datetime(2024, 6, 21, 0, 0, tzinfo=UTC)).height_deg < -10
    assert sun_position(71.17, 25.78, datetime(2024, 6, 21, 22, 20, tzinfo=UTC)).height_deg > 3  # the North Cape


def test_the_sun_needs_an_instant():
    with pytest.raises(EvidenceError, match="no offset from UTC"):
        sun_position(0, 0, datetime(2024, 1, 1))
    with pytest.raises(EvidenceError, match="1901 to 2099"):
        sun_position(0, 0, datetime(1, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="±90"):
        sun_position(91, 0, SOLSTICE)


@pytest.mark.parametrize(("height", "length", "expected"), [(1, 1, 45), (3**0.5, 1, 60), (1, 3**0.5, 30)])
def test_height_of_the_sun_from_a_shadow(height, length, expected):
    assert height_from_shadow_deg(height, length) == pytest.approx(expected)


@pytest.mark.parametrize("lengths", [(0, 1), (1, 0), (-1, 1), (math.nan, 1), (1, math.inf)])
def test_a_length_that_is_none_is_refused(lengths):
    with pytest.raises(EvidenceError, match="above 0"):
        height_from_shadow_deg(*lengths)


def cells():
    south, west, north, east = grid(100).bounds_deg.T
    return (south + north) / 2, (west + east) / 2


def test_a_band_holds_exactly_the_places_where_the_sun_stood_that_high():
    band = ShadowBand(at=SOLSTICE, sun_height_deg=45, tolerance_deg=3)
    lat_deg, lon_deg = cells()
    inside = band.contains(lat_deg, lon_deg)
    # A zone between two heights has this part of the sphere (Archimedes).
    part = (math.sin(math.radians(48)) - math.sin(math.radians(42))) / 2
    assert inside.mean() == pytest.approx(part, rel=0.02)
    for i in range(0, len(lat_deg), 511):
        height_deg = sun_position(lat_deg[i], lon_deg[i], SOLSTICE).height_deg
        if abs(abs(height_deg - 45) - 3) > 0.1:  # refraction and rounding
            assert inside[i] == (abs(height_deg - 45) < 3)


def test_a_band_around_a_high_sun_is_a_disc_and_one_of_a_low_sun_ends_at_the_horizon():
    lat_deg, lon_deg = subsolar_point(SOLSTICE)
    high = ShadowBand(at=SOLSTICE, sun_height_deg=90, tolerance_deg=5)
    assert high.contains(np.array([lat_deg, lat_deg + 6]), np.array([lon_deg, lon_deg])).tolist() == [True, False]
    low = ShadowBand(at=SOLSTICE, sun_height_deg=2, tolerance_deg=10)
    assert low.contains(*cells()).mean() == pytest.approx(math.sin(math.radians(12)) / 2, rel=0.02)


def test_the_direction_of_the_shadow_narrows_the_band():
    lat_deg, lon_deg = cells()
    whole = ShadowBand(at=SOLSTICE, sun_height_deg=45)
    part = ShadowBand(at=SOLSTICE, sun_height_deg=45, shadow_direction_deg=350, direction_tolerance_deg=20)
    inside = part.contains(lat_deg, lon_deg)
    assert 0 < inside.sum() < whole.contains(lat_deg, lon_deg).sum() / 4
    for i in np.flatnonzero(inside)[::10]:
        shadow_deg = sun_position(lat_deg[i], lon_deg[i], SOLSTICE).azimuth_deg + 180
        assert abs((shadow_deg - 350 + 180) % 360 - 180) < 20.1


@pytest.mark.parametrize(
    "wrong",
    [
        {"sun_height_deg": 0},
        {"sun_height_deg": 91},
        {"sun_height_deg": math.nan},
        {"tolerance_deg": 0},
        {"shadow_direction_deg": -1},
        {"shadow_direction_deg": 10, "direction_tolerance_deg": 0},
        {"at": datetime(2024, 6, 21, 9, 0)},
        {"at": datetime(1850, 6, 21, 9, 0, tzinfo=UTC)},
    ],
)
def test_a_band_that_is_none_is_refused_with_words(wrong):
    with pytest.raises(EvidenceError, match=r"^shadow: "):
        ShadowBand(**({"at": SOLSTICE, "sun_height_deg": 45} | wrong))


def test_a_naive_time_is_that_of_the_clocks_at_the_place():
    taken_at = datetime(2024, 7, 1, 12, 0)
    assert at_place(taken_at, 48.85, 2.35).utcoffset() == timedelta(hours=2)  # summer time
    assert at_place(taken_at, 28.61, 77.21).utcoffset() == timedelta(hours=5, minutes=30)
    assert at_place(taken_at, -36.85, 174.76).utcoffset() == timedelta(hours=12)
    assert at_place(taken_at.replace(tzinfo=UTC), 35.68, 139.69).hour == 21
    assert time_zone_at(0, -140).utcoffset(taken_at) == timedelta(hours=-9)  # at sea
