from __future__ import annotations

import numpy as np
import pytest

from examples.relations.geometry import RELATIONS, relations_of, spatial_vectors

OBJECT = (100, 100, 200, 180)  # 100 wide, 80 high


@pytest.mark.parametrize(
    ("subject", "relation"),
    [
        ((120, 110, 160, 150), "inside"),
        ((97, 110, 137, 150), "inside"),  # 37 of 40 columns, more than 90 %
        ((95, 110, 135, 150), "next to"),  # 35 of 40 columns: no longer inside
        ((50, 50, 250, 250), "outside"),
        ((120, 70, 160, 100), "on"),  # they touch
        ((120, 67, 160, 97), "on"),  # a gap of 3, a tenth of the height 30
        ((120, 66, 160, 96), "above"),  # a gap of 4
        ((120, 84, 160, 114), "on"),  # 14 of 30 rows overlap
        ((120, 10, 160, 40), "above"),
        ((150, 184, 300, 224), "under"),  # half of the narrower columns, a gap of 4
        ((160, 184, 300, 224), "near"),  # less than half of them
        ((150, 200, 300, 240), "below"),
        ((205, 110, 245, 150), "next to"),  # a gap of 5 of a width of 40
        ((211, 110, 251, 150), "near"),  # a gap of 11, more than a quarter of 40, less than half of the mean side
        ((210, 190, 250, 230), "near"),  # over the corner: a gap of 10 and 10
        ((10, 110, 40, 150), "left of"),
        ((260, 110, 300, 150), "right of"),
        ((300, 400, 340, 440), "right of"),
    ],
)
def test_the_rules_on_boxes_worked_out_by_hand(subject: tuple[int, ...], relation: str) -> None:
    found = relations_of(np.array([subject], float), np.array([OBJECT], float))
    assert RELATIONS[found[0]] == relation


def random_boxes(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    start, side = random.uniform(0, 300, (n, 2)), random.uniform(5, 200, (n, 2))
    return np.concatenate([start, start + side], axis=1)


def test_exchanging_the_boxes_exchanges_the_relation() -> None:
    opposite = {"on": "under", "above": "below", "left of": "right of", "inside": "outside"}
    opposite |= {b: a for a, b in opposite.items()} | {"near": "near", "next to": "next to"}
    first, second = random_boxes(5000, 1), random_boxes(5000, 2)
    there, back = relations_of(first, second), relations_of(second, first)
    assert set(there.tolist()) == set(range(10))
    assert [opposite[RELATIONS[i]] for i in there] == [RELATIONS[i] for i in back]


def test_a_relation_does_not_depend_on_place_or_scale() -> None:
    first, second = random_boxes(2000, 3), random_boxes(2000, 4)
    np.testing.assert_array_equal(relations_of(first, second), relations_of(first * 2 + 64, second * 2 + 64))


def test_the_spatial_vector_by_hand() -> None:
    subject, object_ = np.array([[10.0, 20, 30, 60]]), np.array([[20.0, 40, 60, 80]])
    found = spatial_vectors(subject, object_, np.array([100]), np.array([200]))[0]
    # The centres are (20, 40) and (40, 60), the mean sides 30 and 40; 10 x 20 pixels are in both.
    dx, dy = -20 / 30, -20 / 40
    expected = [
        *(0.2, 0.2, 0.4, 0.3),
        *(0.2, 0.2, 0.4, 0.2),
        *(dx / (1 - dx), dy / (1 - dy)),
        *(200 / (800 + 1600 - 200), 200 / 800, 200 / 1600),
    ]
    np.testing.assert_allclose(found, expected)


def test_the_spatial_vector_is_bounded() -> None:
    boxes = random_boxes(2000, 5), random_boxes(2000, 6)
    found = spatial_vectors(*boxes, np.full(2000, 500), np.full(2000, 500))
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1
