from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import Splits
from triovision.train.evaluation.baselines import (
    Score,
    choose_strength,
    differences_text,
    fifth_of_places,
    fit_logistic,
    fit_metadata_forest,
    photo_metadata,
    score,
    scores_text,
    source_country_counts,
)


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


def manifest(**columns: list[str]) -> Manifest:
    return Manifest(pd.DataFrame(columns).assign(file="missing.jpg"), Path(), "")


def test_the_source_tells_the_country_of_most_of_its_photos() -> None:
    training = manifest(country=["FR", "FR", "JP"], source=["a", "a", "b"])
    part = manifest(country=["JP", "FR", "JP", "JP", "NA"], source=["a", "b", "b", "new", ""])
    counts = source_country_counts(training, part, ("FR", "JP"))
    assert counts is not None
    assert counts.tolist() == [[2, 1], [1, 2], [1, 2], [0, 1], [0, 0]]
    assert source_country_counts(manifest(country=["FR"]), manifest(country=["FR"]), ("FR", "JP")) is None


def test_metadata_are_those_before_resizing_or_of_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    size = (tmp_path / "a.png").stat().st_size
    table = pd.DataFrame({"file": ["a.png", "missing.png"], "country": "FR"})
    found = photo_metadata(Manifest(table, tmp_path, ""))
    np.testing.assert_array_equal(found, [[60, 40, 1.5, size], [np.nan] * 4])
    table = table.assign(orig_width=["600", ""], orig_height=["300", ""])
    found = photo_metadata(Manifest(table, tmp_path, ""))
    np.testing.assert_array_equal(found, [[600, 300, 2, size], [np.nan] * 4])


def test_a_country_with_its_own_size_is_recognised_without_a_pixel() -> None:
    random = np.random.default_rng(0)
    target = np.repeat([0, 1, NO_LABEL], 40)
    width = np.where(target == 0, 800, 1200) + random.integers(-50, 50, 120)
    metadata = np.column_stack([width, np.full(120, 600), width / 600, random.integers(1000, 9000, 120)]).astype(float)
    forest = fit_metadata_forest(metadata, target)
    assert forest.classes_.tolist() == [0, 1]
    assert forest.predict([[810, 600, 1.35, 5000], [1190, 600, 1.98, 5000], [np.nan] * 4])[:2].tolist() == [0, 1]


def test_a_run_is_told_from_a_baseline_over_sources_only_where_most_sources_agree() -> None:
    source = [f"s{i // 4}" for i in range(80)]
    part = manifest(country=["FR", "JP"] * 40, source=source)
    splits = Splits(part, {"new": part}, ("FR", "JP"), part)
    truth = targets(part, splits.labels)
    sources = np.arange(80) // 4

    def answering(name: str, right: NDArray[np.bool_]) -> Score:
        first = np.where(right, truth, 1 - truth)
        return score(name, "new", np.eye(2)[first], truth, sources)

    scores = [
        answering("run x", np.arange(80) % 4 < 3),
        answering("worse", np.arange(80) % 4 < 2),
        answering("luckier", (np.arange(80) % 4 < 3) | (sources == 0)),
    ]
    lines = differences_text(scores, "run x", splits).splitlines()
    assert lines[0] == "new: run x +25.0 points from worse (95% interval +25.0 to +25.0)"
    assert lines[1].startswith("new: run x -1.2 points from luckier")
    assert lines[1].endswith("cannot be told apart")
    table = scores_text(scores).splitlines()
    assert table[1].split() == ["run", "x", "new", "80", "75.0%", "75.0%", "to", "75.0%", "75.0%", "100.0%", "75.0%"]
