from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from triovision.inference.calibration import fit_temperature
from triovision.train.export.ensemble_weights import fit_country_weights, fit_place_weights


def say(random: np.random.Generator, target: np.ndarray, skill: float) -> np.ndarray:
    """Log-probabilities of a member that is right more often the greater its skill."""
    return log_softmax(random.normal(size=(len(target), 4)) + skill * np.eye(4)[target], axis=1)


def loss(weights: np.ndarray, said: np.ndarray, target: np.ndarray) -> float:
    pooled = np.tensordot(weights, said, axes=1)
    temperature = fit_temperature(pooled, target)
    return -float(log_softmax(pooled / temperature, axis=1)[np.arange(len(target)), target].mean())


def test_country_weights_are_the_best_of_a_grid() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 4, 400)
    said = np.stack([say(random, target, 1.0), say(random, target, 2.0)])
    found = fit_country_weights(said, target, np.full(400, 1 / 400))
    assert found.sum() == pytest.approx(1)
    grid = np.linspace(0, 1, 101)
    best = grid[np.argmin([loss(np.array([w, 1 - w]), said, target) for w in grid])]
    assert found[0] == pytest.approx(best, abs=0.02)
    assert 0.1 < found[0] < 0.45  # the one with more skill weighs more, yet both have something to say


def test_a_member_that_guesses_weighs_nothing_and_one_that_is_always_wrong_neither() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 4, 2000)
    good, wrong = say(random, target, 2.0), say(random, (target + 1) % 4, 3.0)
    flat = np.full_like(good, np.log(1 / 4))
    assert fit_country_weights(np.stack([good, wrong]), target, np.full(2000, 1 / 2000)) == pytest.approx([1, 0])
    assert fit_country_weights(np.stack([wrong, wrong]), target, np.full(2000, 1 / 2000)) == pytest.approx([0.5, 0.5])
    flat_weight = fit_country_weights(np.stack([good, flat]), target, np.full(2000, 1 / 2000))[1]
    assert 0 <= flat_weight <= 1


def test_photos_count_as_much_as_they_are_said_to() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 4, 600)
    good, bad = say(random, target, 2.0), say(random, target, 0.0)
    said = np.stack([np.r_[good[:300], bad[300:]], np.r_[bad[:300], good[300:]]])
    first_half = np.repeat([1 / 300, 0.0], 300)
    assert fit_country_weights(said, target, first_half)[0] > 0.85
    assert fit_country_weights(said, target, first_half[::-1])[0] < 0.15


def test_place_weights_by_hand() -> None:
    # Three photos where only the first is near, one where only the second is: the likelihood 3 log λ + log(1 - λ).
    density = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    np.testing.assert_allclose(fit_place_weights(density, np.full(4, 0.25)), [0.75, 0.25], atol=1e-6)
    # The fourth counts as much as the others together.
    np.testing.assert_allclose(fit_place_weights(density, np.array([1, 1, 1, 3]) / 6), [0.5, 0.5], atol=1e-6)


def test_photos_that_say_nothing_of_places_are_left_out() -> None:
    density = np.array([[1.0, np.nan, 0.0, 0.2], [0.0, 1.0, np.nan, 0.2]])
    np.testing.assert_allclose(fit_place_weights(density, np.full(4, 0.25)), [1, 0], atol=1e-3)
    nothing = np.array([[np.nan, 1.0], [1.0, np.nan]])
    np.testing.assert_allclose(fit_place_weights(nothing, np.full(2, 0.5)), [0.5, 0.5])
