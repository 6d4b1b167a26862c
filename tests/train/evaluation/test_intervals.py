from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from triovision.train.evaluation.intervals import (
    group_interval,
    macro_mean,
    paired_difference,
    source_metrics,
    sources_of,
)


def test_the_mean_over_groups_counts_each_group_once() -> None:
    values = np.array([True] * 9 + [False] * 3)
    groups = np.array(["large"] * 8 + ["small", "small", "small", "small"])
    # 8 of 8 and 1 of 4, where the plain mean is 9 of 12.
    assert macro_mean(values, groups) == pytest.approx((1 + 1 / 4) / 2)


def test_the_interval_is_that_of_resampled_groups_by_a_loop() -> None:
    random = np.random.default_rng(1)
    groups = random.integers(0, 12, 200)
    values = random.random(200) < 0.3 + 0.05 * groups
    found = group_interval(values, groups, resamples=4000, seed=3)
    names = np.unique(groups)
    means = []
    for _ in range(4000):
        photos = np.concatenate([np.flatnonzero(groups == name) for name in random.choice(names, len(names))])
        means.append(values[photos].mean())
    assert found is not None
    assert [found.low, found.high] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.02)


def test_the_interval_of_independent_photos_is_the_normal_one() -> None:
    values = np.arange(2000) % 4 == 0
    found = group_interval(values, np.arange(2000), resamples=4000)
    half = 1.96 * (0.25 * 0.75 / 2000) ** 0.5
    assert found is not None
    assert [found.low, found.high] == pytest.approx([0.25 - half, 0.25 + half], abs=0.003)


def test_photos_of_few_sources_tell_less_than_as_many_independent_ones() -> None:
    right = np.repeat(np.arange(10) % 2 == 0, 50)
    by_source, by_photo = group_interval(right, np.repeat(np.arange(10), 50)), group_interval(right, np.arange(500))
    assert by_source is not None
    assert by_photo is not None
    assert by_source.high - by_source.low > 4 * (by_photo.high - by_photo.low)


def test_the_seed_decides_and_one_group_has_no_interval() -> None:
    values, groups = np.random.default_rng(0).random(40), np.arange(40) // 4
    assert group_interval(values, groups, seed=1) == group_interval(values, groups, seed=1)
    assert group_interval(values, groups, seed=1) != group_interval(values, groups, seed=2)
    assert group_interval(values, np.zeros(40)) is None


def test_a_small_advantage_in_every_group_differs_and_a_large_one_in_one_group_does_not() -> None:
    groups = np.repeat(np.arange(20), 10)
    worse = np.tile(np.arange(10) < 5, 20)
    everywhere = np.tile(np.arange(10) < 6, 20)
    found = paired_difference(everywhere, worse, groups)
    assert found.difference == pytest.approx(0.1)
    assert found.differs
    assert not paired_difference(worse, worse, groups).differs
    in_one_group = worse | (groups == 0)
    found = paired_difference(in_one_group, worse, groups)
    assert found.difference == pytest.approx(5 / 200)
    assert not found.differs
    assert paired_difference(worse, everywhere, groups).difference == pytest.approx(-0.1)
    assert not paired_difference(everywhere, worse, np.zeros(200)).differs  # one group says nothing


def test_a_photo_without_a_source_is_its_own_source() -> None:
    sources = sources_of(pd.DataFrame({"source": ["a", "", "a", ""]}))
    assert sources is not None
    assert len(np.unique(sources)) == 3
    assert sources[0] == sources[2]
    assert sources_of(pd.DataFrame({"file": ["a.jpg"]})) is None


def test_metrics_by_source_have_names_and_stay_open_where_nothing_is_known() -> None:
    right = np.array([True, False, True, True])
    found = source_metrics({"top1": right}, np.array([0, 0, 1, 1]))
    assert (found["sources"], found["top1_by_source"]) == (2, 0.75)
    assert found["top1_low"] == 0.5
    assert found["top1_high"] == 1
    assert source_metrics({"top1": right}, None) == {}
    empty = source_metrics({"top1": right[:0]}, np.empty(0, np.intp))
    assert empty == {"sources": 0, "top1_by_source": None, "top1_low": None, "top1_high": None}
