"""Samplers and batches of an epoch."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import SequentialSampler

from triovision.errors import RecipeError
from triovision.train.data.manifest import Manifest
from triovision.train.data.samplers import (
    RankInfo,
    RepeatSampler,
    TrainingBatches,
    ValidationBatches,
    WeightedSampler,
    build_sampler,
    oversampling_repeats,
    repeats_per_epoch,
    sampling_weights,
)
from triovision.train.recipes.sections import CountryDataSection


def table(*rows: tuple[str, ...]) -> Manifest:
    return Manifest(pd.DataFrame(rows, columns=["file", "country", "place"]), Path(), "0" * 64)


def rows(country: str, place: str, n: int) -> list[tuple[str, ...]]:
    return [(f"{country}{place}{i}.jpg", country, place) for i in range(n)]


def test_balanced_draws_give_each_country_and_each_place_its_part() -> None:
    manifest = table(*rows("FR", "louvre", 6), *rows("FR", "pont", 2), *rows("US", "bridge", 2))
    by_country = sampling_weights(manifest, ("FR", "US"), CountryDataSection(country_power=0, place_power=0))
    np.testing.assert_allclose(by_country, [0.25 / 6] * 6 + [0.25 / 2] * 2 + [0.5 / 2] * 2)
    natural = sampling_weights(manifest, ("FR", "US"), CountryDataSection(country_power=1, place_power=1))
    np.testing.assert_allclose(natural, 0.1)


def test_countries_without_a_label_are_drawn_as_one() -> None:
    manifest = table(*rows("FR", "louvre", 4), *rows("AD", "a", 1), *rows("MC", "b", 1))
    weights = sampling_weights(manifest, ("FR",), CountryDataSection(country_power=0))
    np.testing.assert_allclose(weights, [0.125] * 4 + [0.25] * 2)


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    draws = WeightedSampler(np.array([0.5, 0.25, 0.25]), seed=7)
    first = list(draws)
    draws.set_epoch(1)
    second = list(draws)
    draws.set_epoch(0)
    assert list(draws) == first
    assert first != second
    assert len(first) == len(draws) == 3


def test_few_photos_are_drawn_more_often() -> None:
    manifest = table(*rows("FR", "x", 5), *rows("JP", "x", 2), *rows("US", "x", 3), *rows("AD", "x", 1))
    data = CountryDataSection(oversampling=((3, 3), (5, 2)))
    times = repeats_per_epoch(manifest, ("FR", "JP", "US"), data)
    # Five are no fewer than five; AD has no label, so that its photo stays rare.
    assert times.tolist() == [1] * 5 + [3] * 2 + [2] * 3 + [1]
    draws = build_sampler(manifest, ("FR", "JP", "US"), data.model_copy(update={"sampler": "oversample"}), seed=0)
    drawn = Counter(row for row, _ in draws)
    assert [drawn[row] for row in range(len(manifest))] == times.tolist()
    assert len(draws) == 18
    np.testing.assert_allclose(draws.frequencies, times / 18)


def test_the_thresholds_of_the_report_hold_by_default() -> None:
    manifest = table(*rows("FR", "x", 99), *rows("JP", "x", 100), *rows("US", "x", 499), *rows("DE", "x", 500))
    times = repeats_per_epoch(manifest, ("DE", "FR", "JP", "US"), CountryDataSection())
    assert dict(zip(manifest.table["country"], times.tolist(), strict=True)) == {"FR": 3, "JP": 2, "US": 2, "DE": 1}


def test_natural_draws_show_each_photo_once_in_another_order_each_epoch() -> None:
    manifest = table(*rows("FR", "x", 40))
    draws = build_sampler(manifest, ("FR",), CountryDataSection(sampler="natural"), seed=3)
    first = list(draws)
    assert sorted(row for row, _ in first) == list(range(40))
    assert len({seed for _, seed in first}) == 40
    draws.set_epoch(1)
    assert [row for row, _ in draws] != [row for row, _ in first]
    assert list(build_sampler(manifest, ("FR",), CountryDataSection(sampler="natural"), seed=3)) == first


@pytest.mark.parametrize(
    ("name", "kind"), [("tempered", WeightedSampler), ("natural", RepeatSampler), ("oversample", RepeatSampler)]
)
def test_each_sampler_has_a_name(name: str, kind: type) -> None:
    assert (
        type(
            build_sampler(table(*rows("FR", "x", 4)), ("FR",), CountryDataSection.model_validate({"sampler": name}), 0)
        )
        is kind
    )


def training(n: int, batch_size: int, processes: int) -> list[list[list[int]]]:
    """The batches of each process."""
    return [
        list(TrainingBatches(SequentialSampler(range(n)), batch_size, RankInfo(rank, processes)))
        for rank in range(processes)
    ]


@pytest.mark.parametrize("n", [4, 8, 11, 23])
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_see_the_batches_of_one(n: int, processes: int) -> None:
    (alone,) = training(n, 4, 1)
    parts = training(n, 4, processes)
    assert [sorted(chain(*batches)) for batches in zip(*parts, strict=True)] == alone
    assert {len(batch) for part in parts for batch in part} == {4 // processes}


def test_an_epoch_of_less_than_a_batch_is_cut_to_parts_of_one_size() -> None:
    assert training(7, 8, 1) == [[[0, 1, 2, 3, 4, 5, 6]]]
    assert training(7, 8, 2) == [[[0, 2, 4]], [[1, 3, 5]]]


def test_each_process_goes_on_at_the_same_batch() -> None:
    batches = TrainingBatches(SequentialSampler(range(8)), 4, RankInfo(1, 2))
    batches.skip = 1
    assert list(batches) == [[5, 7]]


@pytest.mark.parametrize(("n", "processes", "words"), [(20, 3, "not divisible by"), (3, 4, "fewer than processes")])
def test_a_batch_that_cannot_be_divided_is_an_error(n: int, processes: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        training(n, 4, processes)


@pytest.mark.parametrize("n", [4, 5, 8, 9, 13, 17])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_each_validation_photo_is_in_one_process_and_all_have_as_many_batches(n: int, processes: int) -> None:
    parts = [ValidationBatches(n, 4, RankInfo(rank, processes)) for rank in range(processes)]
    batches = [list(part) for part in parts]
    assert sorted(row for part in batches for batch in part for row in batch) == list(range(n))
    assert {len(part) for part in batches} == {len(part) for part in parts} == {len(parts[0])}
    assert all(0 < len(batch) <= 4 // processes + (processes > 1) for part in batches for batch in part)


def test_fewer_validation_photos_than_processes_count_alike_in_all() -> None:
    assert [list(ValidationBatches(2, 4, RankInfo(rank, 4))) for rank in range(4)] == [[[0], [1]]] * 4


def test_oversampling_takes_the_first_rule_that_applies_to_a_class() -> None:
    classes = ["rare"] * 2 + ["some"] * 3 + ["many"] * 5
    assert oversampling_repeats(classes, ((3, 3), (5, 2))).tolist() == [3] * 2 + [2] * 3 + [1] * 5
    assert oversampling_repeats(classes, ()).tolist() == [1] * 10
