import math

import pytest

from triovision.geo import Box
from triovision.viz.drawings import drawn_box


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
