"""Projection from frozen features to the vectors of a landmark index, trained on pairs of different sources."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from triovision.train.recipes.frozen_recipe import EmbeddingSection

Features = NDArray[np.float32]

_EXCLUDED = -1e4


def fit_projection(
    features: Features,
    axes: Features,
    landmark: NDArray[np.intp],
    source: NDArray[np.intp],
    config: EmbeddingSection,
    seed: int,
) -> Features:
    """Train a projection with the supervised contrastive loss across sources.

    A pair of photos of one landmark counts only if they come from different sources, and photos of one source are no
    negatives of each other either: their common look would teach the source. Landmarks that one source alone shows are
    negatives. Photos of a landmark that is often shown weigh less, in proportion to n**-0.5 in a batch.

    Args:
        features: Photos of landmarks, shape `(n, n_features)`.
        axes: Principal axes of the features, with which the projection begins, shape `(n_features, k)`.
        landmark: Number of each photo's landmark, shape `(n,)`.
        source: Number of each photo's source, shape `(n,)`.
        config: Length of the vectors and training.
        seed: Seed of batches and dropout.

    Returns:
        Projection, shape `(n_features, dimensions)`; the axes themselves where no landmark has two sources.
    """
    start = axes[:, : config.dimensions]
    anchors = np.flatnonzero(_several_sources(landmark, source))
    if not len(anchors) or not config.steps:
        return start
    random = np.random.default_rng(seed)
    # In the space of the axes, whose products are those of the features; it is much smaller.
    inputs = torch.from_numpy(features @ axes)
    of_landmark, of_source = torch.from_numpy(landmark), torch.from_numpy(source)
    projection = torch.eye(inputs.shape[1], start.shape[1]).requires_grad_()
    optimiser = torch.optim.Adam([projection], lr=config.learning_rate)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(config.steps):
            rows = _batch(anchors, len(features), config.batch_size, random)
            vectors = F.normalize(F.dropout(inputs[rows], config.dropout) @ projection, dim=1)
            loss = contrastive_loss(vectors, of_landmark[rows], of_source[rows], config.temperature)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return np.asarray(axes @ projection.detach().numpy(), np.float32)


def contrastive_loss(vectors: Tensor, landmark: Tensor, source: Tensor, temperature: float) -> Tensor:
    """Return the loss of a batch: the mean of -log Σ exp(s⁺/t) / Σ exp(s/t) over photos with a pair.

    s⁺ are the similarities to photos of the same landmark, s those to all photos, of other sources in both cases.

    Args:
        vectors: Unit vectors, shape `(n, d)`.
        landmark: Number of each photo's landmark, shape `(n,)`.
        source: Number of each photo's source, shape `(n,)`.
        temperature: t.
    """
    similarity = vectors @ vectors.T / temperature
    same_source = source[:, None] == source[None]
    pair = (landmark[:, None] == landmark[None]) & ~same_source
    everything = torch.logsumexp(similarity.masked_fill(same_source, _EXCLUDED), dim=1)
    paired = torch.logsumexp(similarity.masked_fill(~pair, _EXCLUDED), dim=1)
    has_pair = pair.any(dim=1)
    if not has_pair.any():
        return vectors.sum() * 0
    count = torch.bincount(landmark[has_pair])[landmark[has_pair]]
    weight = count.float().rsqrt()
    return (weight * (everything - paired)[has_pair]).sum() / weight.sum()


def _several_sources(landmark: NDArray[np.intp], source: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Mask of the photos whose landmark more than one source shows."""
    pairs = np.unique(np.column_stack([landmark, source]), axis=0)
    return np.asarray(np.bincount(pairs[:, 0], minlength=landmark.max() + 1)[landmark] > 1)


def _batch(anchors: NDArray[np.intp], n: int, size: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Two thirds of a batch from the anchors, the rest from all photos."""
    first = random.choice(anchors, min(len(anchors), size * 2 // 3), replace=False)
    return np.unique(np.concatenate([first, random.choice(n, min(n, size // 3), replace=False)]))
