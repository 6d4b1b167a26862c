import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triovision.geo.equal_area import grid

EARTH_KM2 = 4 * math.pi * 6371.0088**2


@pytest.mark.parametrize("side_km", [100, 200, 1000, 2000])
def test_all_cells_have_the_same_area_and_cover_the_earth(side_km):
    cells = grid(side_km)
    south, west, north, east = np.radians(cells.bounds_deg).T
    area_km2 = 6371.0088**2 * (east - west) * (np.sin(north) - np.sin(south))
    assert area_km2 == pytest.approx(np.full(cells.n_cells, EARTH_KM2 / cells.n_cells), rel=1e-9)
    assert cells.cell_km2 == pytest.approx(area_km2[0])
    assert area_km2.sum() == pytest.approx(EARTH_KM2)
    assert math.sqrt(cells.cell_km2) == pytest.approx(side_km, rel=0.05)


def test_cells_are_nearly_square_outside_the_polar_caps():
    south, west, north, east = np.radians(grid(200).bounds_deg).T
    shape = (east - west) * np.cos((south + north) / 2) / (north - south)
    away = np.degrees(np.abs(south)) < 80
    assert 0.85 < shape[away].min() <= shape[away].max() < 1.2


def test_each_cell_holds_its_centre():
    cells = grid(200)
    x, y, z = cells.centres_xyz.T
    lat_deg, lon_deg = np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x))
    assert (cells.cell_of(lat_deg, lon_deg) == np.arange(cells.n_cells)).all()


@settings(deadline=None)  # no test asserts wall-clock time
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_position_lies_within_the_edges_of_its_cell(lat_deg, lon_deg):
    cells = grid(500)
    south, west, north, east = cells.bounds_deg[cells.cell_of(lat_deg, lon_deg)]
    assert south - 1e-9 <= lat_deg <= north + 1e-9
    assert (lon_deg - west + 1e-9) % 360 <= east - west + 2e-9


def test_the_date_line_is_one_meridian_and_the_poles_have_cells():
    cells = grid(200)
    assert cells.cell_of(10, 180) == cells.cell_of(10, -180)
    assert cells.cell_of(10, 190) == cells.cell_of(10, -170)
    assert cells.cell_of(90, -180) == 0
    assert cells.cell_of(-90, 179.99) == cells.n_cells - 1


@pytest.mark.parametrize("side_km", [0, 49, 2001, math.nan])
def test_refuses_cells_that_are_too_many_or_too_few(side_km):
    with pytest.raises(ValueError, match="side_km"):
        grid(side_km)
