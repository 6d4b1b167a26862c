from __future__ import annotations

import numpy as np
import pytest

from triovision.inference.calibration import (
    fit_abstention_threshold,
    fit_conformal_threshold,
    fit_radius_factor,
    fit_temperature,
    probabilities,
)


def test_the_temperature_of_overconfident_logits_is_found() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(size=(20_000, 5)) * 2
    target = np.array([random.choice(5, p=p) for p in probabilities(honest, 1.0)])
    assert fit_temperature(honest * 3, target) == pytest.approx(3, rel=0.05)


def test_probabilities_are_a_softmax_at_the_temperature() -> None:
    logits = np.log([[1.0, 3.0]]) * 2
    np.testing.assert_allclose(probabilities(logits, 2.0), [[0.25, 0.75]])


def test_a_conformal_set_covers_new_photos() -> None:
    random = np.random.default_rng(1)
    probability = random.dirichlet(np.ones(10), size=8000)
    target = np.array([random.choice(10, p=p) for p in probability])
    threshold = fit_conformal_threshold(probability[:4000], target[:4000], coverage=0.9)
    covered = probability[4000:][np.arange(4000), target[4000:]] >= threshold
    assert covered.mean() == pytest.approx(0.9, abs=0.02)


def test_the_conformal_rank_is_corrected_for_few_photos() -> None:
    probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    truth = np.zeros(4, dtype=np.int64)
    # ceil(5 * 0.8) = 4: the worst of the four photos; ceil(5 * 0.9) = 5: more than there are, so everything.
    assert fit_conformal_threshold(probability, truth, coverage=0.8) == pytest.approx(0.6)
    assert fit_conformal_threshold(probability, truth, coverage=0.9) == 0


def test_answers_above_the_abstention_threshold_are_right_often_enough() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    correct = np.array([True, True, False, True, False])
    assert fit_abstention_threshold(confidence, correct, target_accuracy=0.75) == pytest.approx(0.6)
    assert fit_abstention_threshold(confidence, correct, target_accuracy=1.0) == pytest.approx(0.8)


def test_a_model_that_is_never_right_always_abstains() -> None:
    assert fit_abstention_threshold(np.array([0.9, 0.5]), np.array([False, False]), target_accuracy=0.5) == 1.0


def test_a_radius_factor_by_hand() -> None:
    error, radius = np.array([10.0, 30, 5, 80]), np.array([10.0, 10, 10, 10])
    assert fit_radius_factor(error, radius, 0.5) == 1  # two of four within 10 km
    assert fit_radius_factor(error, radius, 0.51) == 3
    assert fit_radius_factor(error, radius, 1) == 8
    assert fit_radius_factor(np.array([7.0]), np.array([14.0]), 0.9) == 0.5


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_radius_factor_makes_new_radii_hold_what_they_promise(share: float) -> None:
    random = np.random.default_rng(2)
    radius = random.lognormal(5, 1, 4000)
    error = radius * random.lognormal(0.7, 1.2, 4000)  # radii twice too small
    factor = fit_radius_factor(error[:2000], radius[:2000], share)
    assert np.mean(error[2000:] <= factor * radius[2000:]) == pytest.approx(share, abs=0.03)


def test_a_weight_of_two_is_a_photo_twice() -> None:
    random = np.random.default_rng(3)
    logits, target = random.normal(size=(200, 4)), random.integers(0, 4, 200)
    twice = random.integers(1, 3, 200)
    weight, repeated = twice.astype(float), np.repeat(np.arange(200), twice)
    assert fit_temperature(logits, target, weight) == pytest.approx(
        fit_temperature(logits[repeated], target[repeated]), rel=1e-3
    )
    confidence, correct = random.random(200), random.random(200) < 0.6
    assert fit_abstention_threshold(confidence, correct, 0.6, weight) == fit_abstention_threshold(
        confidence[repeated], correct[repeated], 0.6
    )
    error, radius = random.lognormal(size=200), np.ones(200)
    assert fit_radius_factor(error, radius, 0.9, weight) == fit_radius_factor(error[repeated], radius[repeated], 0.9)


def test_a_conformal_set_covers_weighted_photos() -> None:
    # Nine tenths of the weight are in the two photos of probability 0.8 and 0.4.
    probability = np.array([[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]])
    weight = np.array([50.0, 40.0, 10.0])
    truth = np.zeros(3, np.int64)
    # A new photo weighs 100 / 3: of 133.3 in all, 90 hold 0.675.
    assert fit_conformal_threshold(probability, truth, 0.67, weight) == pytest.approx(0.4)
    assert fit_conformal_threshold(probability, truth, 0.68, weight) == pytest.approx(0.1)
    assert fit_conformal_threshold(probability, truth, 0.76, weight) == 0


def test_an_abstention_threshold_needs_enough_photos() -> None:
    confidence = np.linspace(1, 0.5, 30)
    correct = np.arange(30) < 10
    assert fit_abstention_threshold(confidence, correct, 1.0) == pytest.approx(confidence[9])
    assert fit_abstention_threshold(confidence, correct, 1.0, min_photos=11) == 1.0
    assert fit_abstention_threshold(confidence, correct, 0.5, min_photos=20) == pytest.approx(confidence[19])


def test_photos_of_equal_confidence_are_on_the_same_side() -> None:
    confidence, correct = np.array([0.9, 0.5, 0.5]), np.array([True, True, False])
    assert fit_abstention_threshold(confidence, correct, 0.9) == pytest.approx(0.9)
