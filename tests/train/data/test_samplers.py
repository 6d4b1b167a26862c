from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from triovision.train.data.manifest import Manifest
from triovision.train.data.samplers import RepeatSampler, WeightedSampler, build_sampler, draw_weights, draws_per_epoch
from triovision.train.recipes.sections import Data


def table(*rows: tuple[str, ...]) -> Manifest:
    return Manifest(pd.DataFrame(rows, columns=["file", "country", "place"]), Path(), "0" * 64)


def rows(country: str, place: str, n: int) -> list[tuple[str, ...]]:
    return [(f"{country}{place}{i}.jpg", country, place) for i in range(n)]


def test_balanced_draws_give_each_country_and_each_place_its_part() -> None:
    manifest = table(*rows("FR", "louvre", 6), *rows("FR", "pont", 2), *rows("US", "bridge", 2))
    by_country = draw_weights(manifest, ("FR", "US"), Data(country_power=0, place_power=0))
    np.testing.assert_allclose(by_country, [0.25 / 6] * 6 + [0.25 / 2] * 2 + [0.5 / 2] * 2)
    natural = draw_weights(manifest, ("FR", "US"), Data(country_power=1, place_power=1))
    np.testing.assert_allclose(natural, 0.1)


def test_countries_without_a_label_are_drawn_as_one() -> None:
    manifest = table(*rows("FR", "louvre", 4), *rows("AD", "a", 1), *rows("MC", "b", 1))
    weights = draw_weights(manifest, ("FR",), Data(country_power=0))
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
    data = Data(oversampling=((3, 3), (5, 2)))
    times = draws_per_epoch(manifest, ("FR", "JP", "US"), data)
    # Five are no fewer than five; AD has no label, so that its photo stays rare.
    assert times.tolist() == [1] * 5 + [3] * 2 + [2] * 3 + [1]
    draws = build_sampler(manifest, ("FR", "JP", "US"), data.model_copy(update={"sampler": "oversample"}), seed=0)
    drawn = Counter(row for row, _ in draws)
    assert [drawn[row] for row in range(len(manifest))] == times.tolist()
    assert len(draws) == 18
    np.testing.assert_allclose(draws.shares, times / 18)


def test_the_thresholds_of_the_report_hold_by_default() -> None:
    manifest = table(*rows("FR", "x", 99), *rows("JP", "x", 100), *rows("US", "x", 499), *rows("DE", "x", 500))
    times = draws_per_epoch(manifest, ("DE", "FR", "JP", "US"), Data())
    assert dict(zip(manifest.table["country"], times.tolist(), strict=True)) == {"FR": 3, "JP": 2, "US": 2, "DE": 1}


def test_natural_draws_show_each_photo_once_in_another_order_each_epoch() -> None:
    manifest = table(*rows("FR", "x", 40))
    draws = build_sampler(manifest, ("FR",), Data(sampler="natural"), seed=3)
    first = list(draws)
    assert sorted(row for row, _ in first) == list(range(40))
    assert len({seed for _, seed in first}) == 40
    draws.set_epoch(1)
    assert [row for row, _ in draws] != [row for row, _ in first]
    assert list(build_sampler(manifest, ("FR",), Data(sampler="natural"), seed=3)) == first


@pytest.mark.parametrize(
    ("name", "kind"), [("tempered", WeightedSampler), ("natural", RepeatSampler), ("oversample", RepeatSampler)]
)
def test_each_sampler_has_a_name(name: str, kind: type) -> None:
    assert type(build_sampler(table(*rows("FR", "x", 4)), ("FR",), Data.model_validate({"sampler": name}), 0)) is kind
