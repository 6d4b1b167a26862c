from __future__ import annotations

import numpy as np
import pytest
import torch

from triovision.inference.landmarks import unit_rows
from triovision.train.frozen.embedding import contrastive_loss, fit_projection
from triovision.train.frozen.head import principal_axes
from triovision.train.recipes.frozen_recipe import EmbeddingSection


def test_the_loss_by_hand() -> None:
    # Photos 0 and 1 show landmark 0 in two sources; photo 2 shows landmark 1 in the first source.
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    loss = contrastive_loss(vectors, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0]), 0.5)
    # Photo 0 sees photo 1 alone (photo 2 is of its own source); photo 1 sees 0 (0.6) and 2 (0.8).
    expected = (0 + np.log(1 + np.exp((0.8 - 0.6) / 0.5))) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_pairs_of_one_source_teach_nothing() -> None:
    vectors = torch.randn(4, 3).requires_grad_()
    loss = contrastive_loss(vectors, torch.tensor([0, 0, 1, 1]), torch.zeros(4, dtype=torch.long), 0.1)
    assert loss.item() == 0
    loss.backward()
    assert not vectors.grad.any()  # type: ignore[union-attr]


def test_the_projection_learns_the_landmark_and_forgets_the_source() -> None:
    """A source colours all its photos more strongly than a landmark does; another source shows what remains."""
    random = np.random.default_rng(0)
    landmark, source = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)
    looks = random.normal(size=(6, 20)) * 2
    features = (np.eye(8, 20)[landmark] * 3 + looks[source] + random.normal(size=(48, 20)) / 5).astype(np.float32)
    config = EmbeddingSection(dimensions=10, steps=200, learning_rate=0.02, dropout=0)
    axes = principal_axes(features, 20)
    found = fit_projection(features, axes, landmark, source, config, seed=0)
    assert found.shape == (20, 10)

    def recall(projection: np.ndarray) -> float:
        vectors = unit_rows(features @ projection)
        similarity = np.where(source[:, None] == source[None], -1, vectors @ vectors.T)
        return float((landmark[similarity.argmax(axis=1)] == landmark).mean())

    assert recall(found) > 0.95 > recall(axes[:, :10])


def test_without_a_pair_the_axes_stay() -> None:
    features = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    axes = principal_axes(features, 4)
    same = fit_projection(features, axes, np.arange(6), np.arange(6), EmbeddingSection(dimensions=3), seed=0)
    np.testing.assert_array_equal(same, axes[:, :3])
