from __future__ import annotations

import numpy as np
import pytest

from triovision.train.evaluation.metrics import accuracy, in_top_k, position_scores


def test_of_equal_scores_the_label_with_the_lower_index_comes_first() -> None:
    scores = np.array([[0.1, 0.5, 0.5, 0.2], [0.0, 0.0, 0.0, 0.0], [3.0, 2.0, 1.0, 0.0]])
    assert in_top_k(scores, np.array([2, 2, 3]), 1).tolist() == [False, False, False]
    assert in_top_k(scores, np.array([2, 2, 3]), 2).tolist() == [True, False, False]
    assert in_top_k(scores, np.array([1, 0, 0]), 1).tolist() == [True, True, True]
    assert in_top_k(scores, np.array([2, 2, 3]), 5).tolist() == [True, True, True]


def test_accuracy_by_hand() -> None:
    truth, predicted = np.array(["FR", "FR", "FR", "JP"]), np.array(["FR", "FR", "US", "FR"])
    found = accuracy(truth, predicted, np.array([True, True, True, False]))
    assert found == {"top1": 0.5, "top5": 0.75, "macro_recall": pytest.approx((2 / 3 + 0) / 2)}
    assert accuracy(truth[:0], predicted[:0], np.zeros(0, bool)) == {"top1": None, "top5": None, "macro_recall": None}


def test_scores_by_hand() -> None:
    # Along the equator a degree is pi / 180 * 6371.0088 km = 111.19508 km.
    degree = np.pi / 180 * 6371.0088
    truth_lat, truth_lon = np.zeros(4), np.array([0.0, 10.0, 20.0, 30.0])
    predicted = np.column_stack([[0.0, 0.0, 2.0, 0.0], [0.0, 11.0, 20.0, 60.0]])
    found = position_scores(np.column_stack([truth_lat, truth_lon]), predicted)
    assert found.photos == 4
    assert found.median_km == pytest.approx(1.5 * degree)  # between 1 and 2 degrees
    assert found.mean_km == pytest.approx((0 + 1 + 2 + 30) / 4 * degree)
    shares = [getattr(found, f"within_{km}_km") for km in (1, 25, 200, 750, 2500)]
    assert shares == [0.25, 0.25, 0.5, 0.75, 0.75]
    assert found.r2_lat is None  # all photos have one latitude
    # Residuals 0, 1, 0 and 30 degrees; 15, 5, 5 and 15 degrees from the mean.
    assert found.r2_lon == pytest.approx(1 - 901 / 500)
    assert found.geo_score == pytest.approx(1250 * sum(np.exp(-n * degree / 1492.7) for n in (0, 1, 2, 30)))


def test_the_date_line_is_near_for_distances_and_far_for_r2() -> None:
    longitude = np.array([179.5, -179.5])
    found = position_scores(np.column_stack([np.zeros(2), longitude]), np.column_stack([np.zeros(2), -longitude]))
    assert found.median_km == pytest.approx(np.pi / 180 * 6371.0088)
    assert found.r2_lon == pytest.approx(1 - 359**2 / 179.5**2)
