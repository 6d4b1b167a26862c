from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from triovision.inference.calibration import probabilities
from triovision.inference.pooling import completed, log_completed, log_pool, union

ALL = np.ones((2, 2), np.bool_)


def pool(probability: NDArray[np.float64], known: NDArray[np.bool_], weights: list[float]) -> NDArray[np.float64]:
    return probabilities(log_pool(probability, known, np.array(weights)), 1.0)


def test_labels_are_those_of_all_members_in_order() -> None:
    assert union([("US", "FR"), ("JP", "FR")]) == ("FR", "JP", "US")


def test_the_pool_by_hand() -> None:
    probability = np.array([[[0.8, 0.2]], [[0.5, 0.5]]])
    # √(0.8 · 0.5) : √(0.2 · 0.5) = 2 : 1
    np.testing.assert_allclose(pool(probability, ALL, [0.5, 0.5]), [[2 / 3, 1 / 3]])
    # 0.8 · 0.5 : 0.2 · 0.5, the product of experts
    np.testing.assert_allclose(pool(probability, ALL, [1, 1]), [[0.8, 0.2]])


def test_a_member_abstains_from_a_country_that_it_does_not_know() -> None:
    known = np.array([[True, True, False], [True, True, True]])
    probability = np.array([[[0.75, 0.25, np.nan]], [[0.2, 0.2, 0.6]]])
    # The second says that it is one of the first's countries with 0.4; the first divides that 3 : 1.
    np.testing.assert_allclose(completed(probability, known), [[[0.3, 0.1, 0.6]], [[0.2, 0.2, 0.6]]])
    expected = np.sqrt([0.3 * 0.2, 0.1 * 0.2, 0.6 * 0.6])
    np.testing.assert_allclose(pool(probability, known, [0.5, 0.5])[0], expected / expected.sum())
    # Without weight the second still says how probable the country is that it alone knows, and nothing else.
    np.testing.assert_allclose(pool(probability, known, [1, 0]), [[0.3, 0.1, 0.6]])


def test_three_members_share_the_word_on_what_the_fourth_does_not_know() -> None:
    known = np.array([[True, False, False], [True, True, False], [True, True, True]])
    probability = np.array([[[1.0, 0, 0]], [[0.5, 0.5, 0]], [[0.2, 0.2, 0.6]]])
    # The others' means are 0.35, 0.35 and 0.6, of 1.3.
    np.testing.assert_allclose(completed(probability, known)[0], [[0.35 / 1.3, 0.35 / 1.3, 0.6 / 1.3]])


def test_a_zero_is_no_veto_and_two_are_nothing() -> None:
    probability = np.array([[[0.0, 1.0, 0.0]], [[0.9, 0.1, 0.0]]])
    known = np.ones((2, 3), np.bool_)
    assert np.isfinite(log_completed(probability, known)).all()
    first, second, third = pool(probability, known, [0.5, 0.5])[0]
    assert second > first > third
    assert third < 1e-11


DISTRIBUTIONS = arrays(np.float64, (3, 4, 5), elements=st.floats(0.01, 1)).map(lambda a: a / a.sum(-1, keepdims=True))
WEIGHTS = st.lists(st.floats(0, 1), min_size=3, max_size=3)


@settings(deadline=None, max_examples=60)
@given(probability=DISTRIBUTIONS, weights=WEIGHTS, known=arrays(np.bool_, (3, 5)))
def test_the_order_of_members_does_not_matter(
    probability: NDArray[np.float64], weights: list[float], known: NDArray[np.bool_]
) -> None:
    known[:, 0] = True
    probability = np.where(known[:, None, :], probability, 0)
    probability /= probability.sum(-1, keepdims=True)
    turned = pool(probability[::-1], known[::-1], weights[::-1])
    np.testing.assert_allclose(turned, pool(probability, known, weights), atol=1e-12)
    np.testing.assert_allclose(completed(probability, known).sum(axis=2), 1)


@settings(deadline=None, max_examples=60)
@given(probability=DISTRIBUTIONS, weights=WEIGHTS)
def test_members_without_weight_and_equal_members_change_nothing(
    probability: NDArray[np.float64], weights: list[float]
) -> None:
    known = np.ones((3, 5), np.bool_)
    np.testing.assert_allclose(pool(probability, known, [0, 1, 0]), probability[1])
    np.testing.assert_allclose(pool(probability[:1], known[:1], [1]), probability[0])
    equal = np.stack([probability[2]] * 3)
    if (total := sum(weights)) > 0.01:
        shares = [weight / total for weight in weights]
        np.testing.assert_allclose(pool(equal, known, shares), probability[2])


def test_weights_are_not_asked_when_the_others_complete_a_member() -> None:
    known = np.array([[True, False], [True, True]])
    probability = np.array([[[1.0, 0.0]], [[0.3, 0.7]]])
    assert completed(probability, known)[0].tolist() == [pytest.approx([0.3, 0.7])]
