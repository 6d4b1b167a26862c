"""A linear probe: logistic regression on the frozen starting features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from triovision.networks import head_of
from triovision.train.data import NO_LABEL, targets
from triovision.train.manifest import Manifest
from triovision.train.outputs import network_outputs
from triovision.train.recipe import Recipe

#: Inverse strengths of the regularisation to choose from.
_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

#: The one to take when there are too few photos to choose by.
_UNCHOSEN = 0.1

#: A place of this many photos is one that new photos can be held out of.
_SEVERAL = 8


class _Pooled(nn.Module):
    """A classifier of timm up to its last layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = cast(Any, network)

    def forward(self, batch_nchw: Tensor) -> Tensor:
        features: Tensor = self.network.forward_head(self.network.forward_features(batch_nchw), pre_logits=True)
        return features


def frozen_features(network: nn.Module, manifest: Manifest, recipe: Recipe, workers: int) -> NDArray[np.float32]:
    """What the last layer is given for each photo, `(n, n_features)`."""
    pooled = _Pooled(network).eval().to(memory_format=torch.channels_last)
    return network_outputs(pooled, manifest, recipe, workers)


def fit_logistic(features: NDArray[np.float32], target: NDArray[np.int64], strength: float) -> Pipeline:
    """Class-balanced logistic regression on standardised features; photos without a label are left out."""
    known = target != NO_LABEL
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000, class_weight="balanced"))
    return model.fit(features[known], target[known])


def choose_strength(training: Manifest, labels: Sequence[str], features: NDArray[np.float32], seed: int) -> float:
    """The inverse regularisation that is best on training photos held out for it.

    Those are a fifth of the places, and a sixth of the photos of the larger places that stay; what counts is the mean
    of the two accuracies. A baseline that is not tuned makes any model look good.

    Args:
        training: Training photos.
        labels: Their countries with a label.
        features: Their frozen features.
        seed: Seed of the held-out photos.
    """
    target = targets(training, labels)
    new_places = fifth_of_places(training, seed)
    places = training.table["place"]
    several = places.map(Counter(places)).to_numpy() >= _SEVERAL
    new_photos = several & ~new_places & (np.random.default_rng(seed).random(len(training)) < 1 / 6)
    fitted = ~new_places & ~new_photos
    parts = [held & (target != NO_LABEL) for held in (new_places, new_photos)]
    if not any(part.any() for part in parts) or len(np.unique(target[fitted & (target != NO_LABEL)])) < 2:
        return _UNCHOSEN

    def accuracy(strength: float) -> float:
        linear = fit_logistic(features[fitted], target[fitted], strength)
        return float(np.mean([(linear.predict(features[p]) == target[p]).mean() for p in parts if p.any()]))

    return max(_STRENGTHS, key=accuracy)


def start_head(network: nn.Module, training: Manifest, labels: Sequence[str], recipe: Recipe, workers: int) -> None:
    """Fill the last layer with the logistic regression on the network's present features.

    Args:
        network: A network whose backbone has its starting weights.
        training: Training photos.
        labels: Their countries with a label.
        recipe: Names the preprocessing and the seed.
        workers: Processes that decode photos.
    """
    features = frozen_features(network, training, recipe, workers)
    network.train()
    strength = choose_strength(training, labels, features, recipe.seed)
    scale, linear = fit_logistic(features, targets(training, labels), strength)
    # Standardising is linear, so that it folds into the layer.
    weight = linear.coef_ / scale.scale_
    bias = linear.intercept_ - weight @ scale.mean_
    if len(weight) == 1:  # of two labels, only the second has coefficients
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.append(0.0, bias)
    head = cast(nn.Linear, head_of(network))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))


def fifth_of_places(training: Manifest, seed: int) -> NDArray[np.bool_]:
    """True for the photos of a random fifth of the places."""
    places = training.table["place"].to_numpy()
    names = np.unique(places)
    return np.isin(places, np.random.default_rng(seed).choice(names, max(1, len(names) // 5), replace=False))
