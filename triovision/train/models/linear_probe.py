"""The last layer as a logistic regression on the features in front of it, before and after the others are trained."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.inference.device import choose_device
from triovision.networks import head_of
from triovision.train.data.dataset import ValidationPhotos
from triovision.train.data.manifest import Manifest
from triovision.train.data.outliers import OutlierImages
from triovision.train.losses.country import soft_targets
from triovision.train.models.forward import network_outputs, readable_outputs
from triovision.train.recipes.country_recipe import Recipe

_STEPS = 300


class Pooled(nn.Module):
    """A classifier of timm up to its last layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = cast(Any, network)

    def forward(self, batch_nchw: Tensor) -> Tensor:
        """Features `(n, n_features)`."""
        features: Tensor = self.network.forward_head(self.network.forward_features(batch_nchw), pre_logits=True)
        return features


def frozen_features(network: nn.Module, manifest: Manifest, recipe: Recipe, workers: int) -> NDArray[np.float32]:
    """What the last layer is given for each photo, `(n, n_features)`.

    Raises:
        RecipeError: If a photo cannot be read.
    """
    pooled = Pooled(network).eval().to(memory_format=torch.channels_last)
    return network_outputs(pooled, manifest, recipe, workers)


def fit_last_layer(
    network: nn.Module, training: Manifest, labels: tuple[str, ...], recipe: Recipe, workers: int
) -> None:
    """Fill the last layer with the logistic regression on the network's present features.

    It learns from the unchanged training photos and from pictures of no place made from them; those, and photos
    whose country has no label, want all countries alike. Photos of a country of n weigh n**country_power together.

    Args:
        network: A network whose other layers are of use; it keeps its mode.
        training: Training photos; those that cannot be read are left out.
        labels: Their countries with a label.
        recipe: Says how, under `last_layer`.
        workers: Processes that decode photos.
    """
    how, mode = recipe.last_layer, network.training
    pooled = Pooled(network).eval().to(choose_device(None)).to(memory_format=torch.channels_last)
    preprocessing = recipe.preprocessing
    photos = ValidationPhotos(training, labels, preprocessing)
    features, target = readable_outputs(pooled, photos, preprocessing, workers)
    weights = country_weights(target, recipe.data.country_power) * (1 - how.outlier_share)
    if how.outlier_share:
        count = max(1, round(how.outlier_share * len(training)))
        pictures = OutlierImages(photos, count, recipe.seed)
        made, unlabelled = readable_outputs(pooled, pictures, preprocessing, workers)
        features, target = np.concatenate([features, made]), np.concatenate([target, unlabelled])
        weights = np.append(weights, np.full(len(made), how.outlier_share / len(made)))
    network.cpu().train(mode)
    smoothing = recipe.optimisation.label_smoothing
    weight, bias = soft_logistic(features, target, weights, len(labels), how.strength, smoothing)
    head = cast(nn.Linear, head_of(network))
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)


def country_weights(target: NDArray[np.int64], country_power: float) -> NDArray[np.float64]:
    """Weight of each photo, in all 1: n**country_power for the n photos of a country, those without a label as one."""
    counts = Counter(target.tolist())
    weights = np.array([counts[label] ** (country_power - 1) for label in target.tolist()])
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def soft_logistic(
    features: NDArray[np.float32],
    target: NDArray[np.int64],
    weights: NDArray[np.float64],
    n_labels: int,
    strength: float,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression whose targets may be "all alike", which scikit-learn's cannot.

    Minimises the weighted mean cross entropy plus `|W|² / (2 · strength · n)`, `W` on standardised features, by
    L-BFGS: scikit-learn's `LogisticRegression(C=strength)` where every target is a label.

    Args:
        features: Shape `(n, n_features)`.
        target: Indices of the labels `(n,)`; `NO_LABEL` wants all alike.
        weights: Weight of each photo `(n,)`.
        n_labels: Number of labels.
        strength: Inverse strength of the regularisation.
        label_smoothing: Share of a target that is spread over all labels.

    Returns:
        Weight `(n_labels, n_features)` and bias `(n_labels,)` for features as they are.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-6
    standard = torch.from_numpy((features - mean) / scale)
    wanted = soft_targets(torch.from_numpy(target), n_labels, label_smoothing)
    share = torch.from_numpy(weights / weights.sum()).float()
    weight = torch.zeros(n_labels, features.shape[1], requires_grad=True)
    bias = torch.zeros(n_labels, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        losses = F.cross_entropy(standard @ weight.T + bias, wanted, reduction="none")
        loss = (share * losses).sum() + weight.square().sum() / (2 * strength * len(features))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    # Standardising is linear, so that it folds into the layer.
    folded = weight.detach() / torch.from_numpy(scale)
    return folded, bias.detach() - folded @ torch.from_numpy(mean)
