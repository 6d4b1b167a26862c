"""Linear probe: the last layer as a logistic regression on the pooled features of the backbone."""

from __future__ import annotations

from collections import Counter
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.inference.device import choose_device
from triovision.networks import PooledBackbone, head_of
from triovision.train.data.dataset import ValidationPhotos
from triovision.train.data.manifest import Manifest
from triovision.train.data.outliers import OutlierImages
from triovision.train.losses.country import soft_targets
from triovision.train.models.forward import network_outputs, readable_outputs
from triovision.train.recipes.country_recipe import Recipe

_LBFGS_STEPS = 300


def pooled_features(network: nn.Module, manifest: Manifest, recipe: Recipe, workers: int) -> NDArray[np.float32]:
    """Inputs of the last layer for the photos of a manifest, in order, `(n, n_features)`.

    Raises:
        RecipeError: If a photo cannot be read.
    """
    backbone = PooledBackbone(network).eval().to(memory_format=torch.channels_last)
    return network_outputs(backbone, manifest, recipe, workers)


def fit_last_layer(
    network: nn.Module, training: Manifest, labels: tuple[str, ...], recipe: Recipe, workers: int
) -> None:
    """Fit the last layer by logistic regression on the features of the other layers.

    It is fitted to the training photos without augmentation and to outlier images made from them. Outlier images, and
    photos whose country has no label, have the uniform target. The n photos of a country weigh n**country_power
    together.

    Args:
        network: Network whose other layers are pretrained; it ends on the CPU and in the mode that it had.
        training: Training photos; unreadable ones are left out.
        labels: Countries in the order of the logits.
        recipe: Recipe with the section `last_layer`.
        workers: Processes that decode photos.
    """
    config, mode = recipe.last_layer, network.training
    backbone = PooledBackbone(network).eval().to(choose_device(None)).to(memory_format=torch.channels_last)
    preprocessing = recipe.preprocessing
    photos = ValidationPhotos(training, labels, preprocessing)
    features, target = readable_outputs(backbone, photos, preprocessing, workers)
    weights = country_weights(target, recipe.data.country_power) * (1 - config.outlier_share)
    if config.outlier_share:
        count = max(1, round(config.outlier_share * len(training)))
        images = OutlierImages(photos, count, recipe.seed)
        outliers, no_labels = readable_outputs(backbone, images, preprocessing, workers)
        features, target = np.concatenate([features, outliers]), np.concatenate([target, no_labels])
        weights = np.append(weights, np.full(len(outliers), config.outlier_share / len(outliers)))
    network.cpu().train(mode)
    smoothing = recipe.optimisation.label_smoothing
    weight, bias = soft_logistic(features, target, weights, len(labels), config.strength, smoothing)
    head = cast(nn.Linear, head_of(network))
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)


def country_weights(target: NDArray[np.int64], country_power: float) -> NDArray[np.float64]:
    """Weight of each photo, `(n,)`, with sum 1: a country of n photos has a weight in proportion to n**country_power.

    Photos without a label count as one country.
    """
    counts = Counter(target.tolist())
    weights = np.array([counts[label] ** (country_power - 1) for label in target.tolist()])
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


def soft_logistic(
    features: NDArray[np.float32],
    target: NDArray[np.int64],
    weights: NDArray[np.float64],
    n_labels: int,
    strength: float,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression with soft targets, which scikit-learn does not take.

    L-BFGS minimises the weighted mean cross-entropy plus `|W|² / (2 · strength · n)`, with `W` on standardised
    features. Where every photo has a label this is scikit-learn's `LogisticRegression(C=strength)`.

    Args:
        features: Shape `(n, n_features)`.
        target: Label indices `(n,)`; `NO_LABEL` stands for the uniform target.
        weights: Weight of each photo `(n,)`.
        n_labels: Number of labels.
        strength: Inverse strength of the regularisation.
        label_smoothing: Fraction of a target that is uniform.

    Returns:
        Weight `(n_labels, n_features)` and bias `(n_labels,)` for features that are not standardised.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-6
    standard = torch.from_numpy((features - mean) / scale)
    probabilities = soft_targets(torch.from_numpy(target), n_labels, label_smoothing)
    photo_weight = torch.from_numpy(weights / weights.sum()).float()
    weight = torch.zeros(n_labels, features.shape[1], requires_grad=True)
    bias = torch.zeros(n_labels, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=_LBFGS_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        losses = F.cross_entropy(standard @ weight.T + bias, probabilities, reduction="none")
        loss = (photo_weight * losses).sum() + weight.square().sum() / (2 * strength * len(features))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    # Standardisation is linear, so the layer absorbs it.
    folded = weight.detach() / torch.from_numpy(scale)
    return folded, bias.detach() - folded @ torch.from_numpy(mean)
