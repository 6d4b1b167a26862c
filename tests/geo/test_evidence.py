import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from triovision.errors import EvidenceError
from triovision.geo import Box, Clue, Evidence, Near, ShadowBand


def inside(box, *positions):
    lat_deg, lon_deg = np.array(positions, float).T
    return box.contains(lat_deg, lon_deg).tolist()


def test_a_box_holds_its_edges_and_nothing_beyond():
    box = Box(south_deg=-10, north_deg=20, west_deg=30, east_deg=40)
    assert inside(box, (0, 35), (-10, 30), (20, 40)) == [True] * 3
    assert inside(box, (20.001, 35), (-10.001, 35), (0, 29.999), (0, 40.001), (0, -145)) == [False] * 5


def test_a_box_may_cross_the_date_line_and_reach_it_from_both_sides():
    fiji = Box(south_deg=-20, north_deg=-15, west_deg=177, east_deg=-178)
    assert inside(fiji, (-17, 178), (-17, 180), (-17, -180), (-17, -179)) == [True] * 4
    assert inside(fiji, (-17, 176), (-17, -177), (-17, 0)) == [False] * 3
    assert inside(Box(south_deg=0, north_deg=9, west_deg=170, east_deg=180), (1, 175), (1, -180), (1, -179)) == [
        True,
        True,
        False,
    ]


def test_a_box_goes_all_round_or_is_a_meridian():
    assert inside(Box(south_deg=60, north_deg=90, west_deg=-180, east_deg=180), (70, 0), (90, 99), (59, 0)) == [
        True,
        True,
        False,
    ]
    assert inside(Box(south_deg=-9, north_deg=9, west_deg=5, east_deg=5), (0, 5), (0, 6)) == [True, False]


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ((10, 5, 0, 1), "south lies north"),
        ((-91, 5, 0, 1), "within ±90°"),
        ((0, 5, math.nan, 1), "within ±180°"),
        ((0, math.nan, 0, 1), "within ±90°"),
        ((0, 5, 0, 181), "within ±180°"),
        ((0, math.inf, 0, 1), "within ±90°"),
    ],
)
def test_a_box_that_is_none_is_refused_with_words(edges, reason):
    with pytest.raises(EvidenceError, match=reason):
        Box(**dict(zip(("south_deg", "north_deg", "west_deg", "east_deg"), edges, strict=True)))


@pytest.mark.parametrize("radius_km", [0, -1, math.nan, math.inf])
def test_a_distance_that_is_none_is_refused(radius_km):
    with pytest.raises(EvidenceError, match=r"Paris.*above 0 km"):
        Near(name="Paris", lat_deg=48.85, lon_deg=2.35, radius_km=radius_km)


@pytest.mark.parametrize("said", [{}, {"continent": "XX"}, {"country": "ZZ"}, {"country": "fr"}])
def test_knowledge_that_says_nothing_or_names_nothing_is_refused(said):
    with pytest.raises(EvidenceError):
        Evidence(**said)


PLACES = (
    np.array([48.85, 43.3, 51.5, 48.0, 35.7]),
    np.array([2.35, 5.4, -0.1, 2.0, 139.7]),
    np.array(["FR", "FR", "GB", "DE", "JP"]),
)


@pytest.mark.parametrize(
    ("said", "agrees"),
    [
        ({"continent": "EU"}, [1, 1, 1, 1, 0]),
        ({"continent": "AF"}, [0, 0, 0, 0, 0]),
        ({"country": "FR"}, [1, 1, 0, 0, 0]),
        ({"box": Box(south_deg=45, north_deg=60, west_deg=0, east_deg=10)}, [1, 0, 0, 1, 0]),
        ({"near": Near(name="Paris", lat_deg=48.85, lon_deg=2.35, radius_km=100)}, [1, 0, 0, 1, 0]),
        ({"near": Near(name="Paris", lat_deg=48.85, lon_deg=2.35, radius_km=400)}, [1, 0, 1, 1, 0]),
        (
            {"continent": "EU", "country": "FR", "box": Box(south_deg=40, north_deg=45, west_deg=0, east_deg=10)},
            [0, 1, 0, 0, 0],
        ),
    ],
)
def test_all_that_is_said_holds_together(said, agrees):
    assert Evidence(**said).contains(*PLACES).tolist() == [bool(yes) for yes in agrees]


def test_what_is_said_as_plain_values_and_words():
    said = Evidence(
        country="FJ",
        box=Box(south_deg=-20, north_deg=-15, west_deg=177, east_deg=-178.5),
        near=Near(name="Suva", lat_deg=-18.1, lon_deg=178.4, radius_km=50),
    )
    assert said.to_dict() == {
        "country": "FJ",
        "box": {"south_deg": -20, "north_deg": -15, "west_deg": 177, "east_deg": -178.5},
        "near": {"name": "Suva", "lat_deg": -18.1, "lon_deg": 178.4, "radius_km": 50},
    }
    assert str(said) == "FJ · -20, 177, -15, -178.5 · Suva ±50 km"


CYRILLIC, LEFT = Clue("script", "Cyrl"), Clue("driving_side", "left")
NOON_AT_THE_DATE_LINE = ShadowBand(at=datetime(2024, 3, 20, 0, 7, tzinfo=UTC), sun_height_deg=45, tolerance_deg=20)


@pytest.mark.parametrize(
    ("said", "agrees"),
    [
        ({"clues": (LEFT,)}, [0, 0, 1, 0, 1]),
        ({"clues": (LEFT, Clue("language", "en"))}, [0, 0, 1, 0, 0]),
        ({"clues": (CYRILLIC,)}, [0, 0, 0, 0, 0]),
        ({"clues": (LEFT,), "continent": "AS"}, [0, 0, 0, 0, 1]),
        ({"shadow": NOON_AT_THE_DATE_LINE}, [0, 0, 0, 0, 1]),  # night in Europe, 9 o'clock in Tokyo
        ({"shadow": NOON_AT_THE_DATE_LINE, "clues": (Clue("currency", "EUR"),)}, [0, 0, 0, 0, 0]),
    ],
)
def test_clues_and_a_shadow_hold_together_with_the_rest(said, agrees):
    assert Evidence(**said).contains(*PLACES).tolist() == [bool(yes) for yes in agrees]


def test_evidence_is_cut_into_pieces_and_loses_one():
    said = Evidence(continent="EU", clues=(LEFT, CYRILLIC), shadow=NOON_AT_THE_DATE_LINE)
    pieces = said.pieces()
    assert pieces == (
        Evidence(continent="EU"),
        Evidence(shadow=NOON_AT_THE_DATE_LINE),
        Evidence(clues=(LEFT,)),
        Evidence(clues=(CYRILLIC,)),
    )
    assert said.without(pieces[2]) == Evidence(continent="EU", clues=(CYRILLIC,), shadow=NOON_AT_THE_DATE_LINE)
    assert said.without(pieces[1]) == Evidence(continent="EU", clues=(LEFT, CYRILLIC))
    assert pieces[0].without(pieces[0]) is None
    together = np.logical_and.reduce(
        [piece.contains(*PLACES) for piece in Evidence(country="JP", clues=(LEFT,)).pieces()]
    )
    assert together.tolist() == Evidence(country="JP", clues=(LEFT,)).contains(*PLACES).tolist()


def test_clues_and_a_shadow_as_plain_values_and_words():
    said = Evidence(clues=(Clue("calling_code", "383"),), shadow=NOON_AT_THE_DATE_LINE)
    assert json.loads(json.dumps(said.to_dict())) == {
        "clues": [{"kind": "calling_code", "value": "383", "countries": ["XK"]}],
        "shadow": {"at": "2024-03-20T00:07:00+00:00", "sun_height_deg": 45, "tolerance_deg": 20},
    }
    assert str(said) == "calling code 383 · sun 45.0° ±20° at 2024-03-20 00:07 UTC"
