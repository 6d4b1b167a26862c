from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from triovision.train.frozen.head import (
    country_centres,
    fit_head,
    principal_axes,
    smoothed_targets,
    source_weights,
)


@pytest.mark.parametrize(("power", "expected"), [(0.0, [1, 1]), (0.5, [2, 1]), (1.0, [4, 1])])
def test_photos_of_a_source_weigh_a_power_of_their_number(power: float, expected: list[float]) -> None:
    table = pd.DataFrame({"source": ["a"] * 4 + ["b"], "country": ["FR"] * 5})
    weights = source_weights(table, power)
    assert weights.sum() == pytest.approx(1)
    assert weights[:4].sum() / weights[4] == pytest.approx(expected[0] / expected[1])


def test_the_same_source_counts_for_each_country() -> None:
    table = pd.DataFrame({"source": ["a"] * 3, "country": ["FR", "FR", "JP"]})
    assert source_weights(table, 0.0) == pytest.approx([0.25, 0.25, 0.5])


def test_targets_are_smoothed_towards_near_countries() -> None:
    centres = np.array([[48.0, 2.0], [47.0, 8.0], [36.0, 138.0]])  # France, Switzerland, Japan
    targets = smoothed_targets(centres, 0.2, 1000.0)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.diag(targets), 0.8, rtol=1e-6)
    assert targets[0, 1] > 0.19
    assert targets[0, 2] < 0.01


def test_centres_are_means_on_the_sphere_or_the_largest_city() -> None:
    table = pd.DataFrame({"country": ["FJ", "FJ"], "lat": [-17.0, -17.0], "lon": [179.0, -179.0]})
    (lat, lon), (city_lat, city_lon) = country_centres(table, ["FJ", "JP"]).tolist()
    assert lat == pytest.approx(-17, abs=0.1)
    assert abs(lon) == pytest.approx(180)
    assert (city_lat, city_lon) == pytest.approx((35.7, 139.7), abs=0.1)  # Tokyo


def test_principal_axes_hold_the_largest_moments() -> None:
    random = np.random.default_rng(0)
    features = (random.normal(size=(200, 4)) * [1, 5, 0.1, 3]).astype(np.float32)
    axes = principal_axes(features, 2)
    assert axes.shape == (4, 2)
    np.testing.assert_allclose(np.abs(axes[[1, 3], [0, 1]]), 1, atol=0.05)
    assert principal_axes(features, 9).shape == (4, 4)


def test_a_head_separates_what_is_separable_and_shrinks_with_the_penalty() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 3, 300)
    features = (np.eye(3, 6)[label] * 4 + random.normal(size=(300, 6)) + 7).astype(np.float32)
    targets, weights = np.eye(3, dtype=np.float32)[label], np.full(300, 1 / 300)
    weak, strong = (fit_head(features, targets, weights, penalty) for penalty in (1e-3, 10.0))
    assert (weak.logits(features).argmax(axis=1) == label).mean() > 0.95
    assert np.abs(strong.weight).sum() < np.abs(weak.weight).sum() / 10


def test_weights_count_as_repeated_photos() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 3)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[(features[:, 0] > 0.3).astype(int)]
    twice = np.r_[0:60, 0:10]
    weights = np.where(np.arange(60) < 10, 2, 1) / 70
    weighted = fit_head(features, targets, weights, 0.1)
    repeated = fit_head(features[twice], targets[twice], np.full(70, 1 / 70), 0.1)
    np.testing.assert_allclose(weighted.weight, repeated.weight, atol=2e-3)
