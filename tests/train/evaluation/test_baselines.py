from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.evaluation.baselines import choose_strength, fifth_of_places, fit_logistic, score


def test_the_strength_that_generalises_is_chosen() -> None:
    # One feature tells the country, two hundred are noise: a weak regularisation learns the noise by heart.
    random = np.random.default_rng(0)
    country = np.repeat(["FR", "JP"], 60)
    table = pd.DataFrame({"file": "", "country": country, "place": [f"{c}{i % 30}" for i, c in enumerate(country)]})
    features = random.normal(size=(120, 200)).astype(np.float32)
    features[:, 0] += np.where(country == "FR", 1.5, -1.5)
    training = Manifest(table, Path(), "")
    chosen = choose_strength(training, ("FR", "JP"), features, seed=0)
    held = fifth_of_places(training, 0)
    target = targets(training, ("FR", "JP"))

    def accuracy(strength: float) -> float:
        linear = fit_logistic(features[~held], target[~held], strength)
        return float((linear.predict(features[held]) == target[held]).mean())

    assert accuracy(chosen) >= accuracy(3.0)
    assert chosen < 3.0


def test_too_few_places_to_choose_by_are_no_error() -> None:
    table = pd.DataFrame({"file": "", "country": ["FR", "JP"], "place": ["a", "b"]})
    features = np.eye(2, dtype=np.float32)
    assert choose_strength(Manifest(table, Path(), ""), ("FR", "JP"), features, seed=0) > 0


def test_photos_without_a_label_are_left_out_of_the_fit() -> None:
    features = np.array([[0.0], [1], [0], [1], [50]], dtype=np.float32)
    with_stranger = fit_logistic(features, np.array([0, 1, 0, 1, NO_LABEL]), 1.0)
    without = fit_logistic(features[:4], np.array([0, 1, 0, 1]), 1.0)
    np.testing.assert_allclose(with_stranger.predict_proba(features), without.predict_proba(features))


def test_scores_by_hand() -> None:
    ranks = np.array([[3.0, 2, 1], [3, 2, 1], [1, 2, 3], [1, 3, 2]])
    found = score("x", "s", ranks, np.array([0, 1, 2, NO_LABEL]))
    assert (found.photos, found.top1, found.top5) == (3, pytest.approx(2 / 3), 1)
    assert found.macro_recall == pytest.approx(2 / 3)
