from __future__ import annotations

import numpy as np
import pytest

from examples.animals.study import score_metrics


def test_the_networks_of_all_folds_answer_together() -> None:
    scores = np.array([[0.9, 0.6, 0.4, 0.1], [0.7, 0.2, 0.5, 0.3]])  # means 0.8, 0.4, 0.45, 0.2
    metrics = score_metrics(scores, np.array([True, True, False, False]), np.arange(4))
    assert metrics.accuracy == 0.75
    assert metrics.by_network == [1.0, 0.75]
    assert metrics.confusion == [[1, 1], [0, 2]]
    # Three of the four pairs of a photo of the class and one of the rest are in order: 0.4 is below 0.45.
    assert metrics.roc_auc == 0.75
    assert metrics.low is not None
    assert metrics.high is not None
    assert metrics.low <= 0.75 <= metrics.high


def test_of_a_single_source_there_is_no_interval() -> None:
    metrics = score_metrics(np.array([[0.9, 0.1]]), np.array([True, False]), np.zeros(2, dtype=np.intp))
    assert (metrics.low, metrics.high) == (None, None)
    assert metrics.accuracy == pytest.approx(1.0)
