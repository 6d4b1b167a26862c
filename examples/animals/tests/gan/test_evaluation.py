from __future__ import annotations

from pathlib import Path

import pytest
import torch

from examples.animals.gan.evaluation import Comparison, FeatureNetwork, Judge
from examples.animals.gan.recipe import Evaluation, GanRecipe
from triovision.train.frozen.backbones import frozen_network


def clouds(seed: int, n: int, shift: float = 0.0) -> torch.Tensor:
    """Points around (10, 0, 0, 0), whose second value is shifted."""
    points = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    return points + torch.tensor([10.0, shift, 0.0, 0.0])


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    judge = Judge(clouds(0, 200), clouds(1, 200, shift=8.0))
    return Comparison(clouds(0, 200), judge, Evaluation(kid_subsets=20, kid_subset_size=100))


def test_the_training_photos_themselves(comparison: Comparison) -> None:
    scores = comparison.scores(clouds(0, 200))
    assert scores.pictures == 200
    assert scores.fid == pytest.approx(0, abs=1e-3)
    assert scores.taken_for_class > 0.95
    assert scores.nearest == pytest.approx(1)


def test_a_shift_adds_its_square_to_the_frechet_distance(comparison: Comparison) -> None:
    assert comparison.scores(clouds(0, 200, shift=3.0)).fid == pytest.approx(9, abs=1e-2)


def test_the_kernel_distance_is_unbiased(comparison: Comparison) -> None:
    same = [comparison.scores(clouds(seed, 100)).kid for seed in range(2, 12)]
    assert abs(sum(same) / 10) < max(map(abs, same))  # of both signs
    assert min(same) < 0 < max(same)
    other = comparison.scores(clouds(2, 100, shift=3.0))
    assert other.kid > 10 * max(same)
    assert 0 < other.kid_std < other.kid


def test_scores_do_not_depend_on_the_sets_before(comparison: Comparison) -> None:
    first = comparison.scores(clouds(3, 50))
    comparison.scores(clouds(4, 50, shift=5.0))
    assert comparison.scores(clouds(3, 50)) == first


def test_the_judge(comparison: Comparison) -> None:
    assert comparison.judge.taken_for_class(clouds(5, 100, shift=8.0)) < 0.05
    measured = comparison.judge.measure(clouds(6, 100), clouds(7, 100, shift=8.0))
    assert measured["balanced_accuracy"] > 0.95
    assert measured["auroc"] > 0.99
    assert comparison.judge.measure(clouds(6, 100), clouds(7, 100))["auroc"] == pytest.approx(0.5, abs=0.12)


def test_features_of_small_pictures(weights: Path, recipe: GanRecipe) -> None:
    backbone = frozen_network(recipe.evaluation.backbone, [weights], 0)
    network = FeatureNetwork(backbone, recipe.evaluation.preprocessing)
    pictures = torch.randint(256, (70, 3, 64, 64), dtype=torch.uint8)
    features = network.of_many(pictures, "pictures")
    assert features.shape == (70, backbone.num_features)
    batch = recipe.evaluation.preprocessing.normalise(pictures[:1])  # 64 pixels as they are
    torch.testing.assert_close(features[:1], backbone(batch))
