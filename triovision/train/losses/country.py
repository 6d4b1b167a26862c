"""Losses of country classifiers: cross-entropy, focal, binary cross-entropy and logit adjustment.

All of them take soft targets. A photo whose country has no label has the uniform target: "Deep Anomaly Detection with
Outlier Exposure" (Hendrycks et al., 2019).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.train.data.dataset import NO_LABEL
from triovision.train.losses.registry import LossRegistry
from triovision.train.recipes.sections import CountryLossSection


class CountryLoss(nn.Module, ABC):
    """Mean loss over a batch. A subclass defines the loss of one photo.

    Args:
        config: Section `loss` of the recipe.
        photos: Number of training photos of each label, `(n_labels,)`, for the class weights.
        frequencies: Fraction of each label among the sampled labelled photos, `(n_labels,)`.
    """

    weights: Tensor | None
    log_frequencies: Tensor

    def __init__(self, config: CountryLossSection, photos: NDArray[np.int64], frequencies: NDArray[np.float64]) -> None:
        super().__init__()
        self.config = config
        balanced = torch.from_numpy(balanced_weights(photos)).float() if config.class_weights == "balanced" else None
        # Both follow from the data, so checkpoints do not hold them.
        self.register_buffer("weights", balanced, persistent=False)
        self.register_buffer("log_frequencies", torch.from_numpy(frequencies).float().log(), persistent=False)

    @abstractmethod
    def per_photo(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of each photo times its class weight, `(n,)`, from logits and soft targets, both `(n, n_labels)`."""

    def prior(self) -> Tensor | None:
        """Target of a photo without a label, `(n_labels,)`; uniform when None."""
        return None

    def targets(self, labels: Tensor, label_smoothing: float) -> Tensor:
        """Soft targets `(n, n_labels)` of label indices `(n,)`; see `soft_targets`."""
        return soft_targets(labels, len(self.log_frequencies), label_smoothing, self.prior())

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss of logits and soft targets, both `(n, n_labels)`."""
        losses = self.per_photo(logits, target)
        if self.weights is None:
            return losses.mean()
        # Divided by the sum of the weights instead of the number of photos, like torch's weighted cross-entropy.
        return losses.sum() / (target @ self.weights).sum()


#: Losses that a recipe of a country classifier may name.
COUNTRY_LOSSES: Final[LossRegistry[CountryLoss]] = LossRegistry("country")


@COUNTRY_LOSSES.register("cross_entropy")
class CrossEntropy(CountryLoss):
    """Cross-entropy over a softmax."""

    def per_photo(self, logits: Tensor, target: Tensor) -> Tensor:
        """-sum over labels of weight · target · log p, shape `(n,)`."""
        return F.cross_entropy(logits, target, self.weights, reduction="none")


@COUNTRY_LOSSES.register("focal")
class FocalLoss(CountryLoss):
    """Focal loss over a softmax: "Focal Loss for Dense Object Detection" (Lin et al., 2017)."""

    def per_photo(self, logits: Tensor, target: Tensor) -> Tensor:
        """-sum over labels of weight · target · (1 - p)^gamma · log p, shape `(n,)`."""
        log_p = F.log_softmax(logits, dim=1)
        # 1 - p rounds to 0 where p rounds to 1, and a power below 1 has an infinite slope at 0.
        rest = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).eps)
        losses = target * rest**self.config.focal_gamma * -log_p
        return (losses if self.weights is None else losses * self.weights).sum(dim=1)


@COUNTRY_LOSSES.register("binary_cross_entropy")
class BinaryCrossEntropy(CountryLoss):
    """Binary cross-entropy of each label with logits: "ResNet strikes back" (Wightman et al., 2021)."""

    def per_photo(self, logits: Tensor, target: Tensor) -> Tensor:
        """Sum over labels, so that the learning rates of the other losses suit it, shape `(n,)`."""
        return F.binary_cross_entropy_with_logits(logits, target, self.weights, reduction="none").sum(1)


@COUNTRY_LOSSES.register("logit_adjustment")
class LogitAdjustment(CountryLoss):
    """Cross-entropy of logits plus log frequencies: "Long-tail learning via logit adjustment" (Menon et al., 2021)."""

    def per_photo(self, logits: Tensor, target: Tensor) -> Tensor:
        """-sum over labels of target · log softmax(logits + adjustment · log frequencies), shape `(n,)`."""
        return F.cross_entropy(logits + self.config.adjustment * self.log_frequencies, target, reduction="none")

    def prior(self) -> Tensor:
        """Adjusted frequencies, which uniform logits reproduce."""
        return (self.config.adjustment * self.log_frequencies).softmax(dim=0)


def soft_targets(labels: Tensor, n_labels: int, label_smoothing: float, prior: Tensor | None = None) -> Tensor:
    """Target probabilities, `(n, n_labels)`; a photo without a label has the prior.

    Args:
        labels: Label indices `(n,)`, `NO_LABEL` where the country has no label.
        n_labels: Number of labels.
        label_smoothing: Fraction of a target that follows the prior.
        prior: Probabilities `(n_labels,)`; uniform when None.
    """
    labelled = (labels != NO_LABEL).float().unsqueeze(1)
    fraction = labelled * (1 - label_smoothing)
    rest = (1 - fraction) / n_labels if prior is None else (1 - fraction) * prior
    return fraction * F.one_hot(labels.clamp(min=0), n_labels) + rest


def balanced_weights(photos: NDArray[np.int64]) -> NDArray[np.float64]:
    """Class weights n / (n_labels · n_label), whose mean over the photos is 1: King and Zeng (2001)."""
    weights: NDArray[np.float64] = photos.sum() / (len(photos) * photos)
    return weights


def build_country_loss(
    config: CountryLossSection, labels: Sequence[str], target: NDArray[np.int64], sampling: NDArray[np.float64]
) -> CountryLoss:
    """Build the loss of a recipe for its training photos, and print the class weights.

    Args:
        config: Section `loss` of the recipe.
        labels: Countries in the order of the logits.
        target: Label index of each training photo, or `NO_LABEL`.
        sampling: Fraction of each training photo among the sampled photos.

    Raises:
        RecipeError: If no loss has the name.
    """
    loss = COUNTRY_LOSSES[config.name]
    labelled = target != NO_LABEL
    photos = np.bincount(target[labelled], minlength=len(labels))
    sampled = np.bincount(target[labelled], sampling[labelled], minlength=len(labels))
    if config.class_weights == "balanced":
        weights = zip(labels, balanced_weights(photos), photos, strict=True)
        listed = ", ".join(f"{label} {weight:.3g} ({n} photos)" for label, weight, n in weights)
        rank_zero_info(f"class weights: {listed}")
    return loss(config, photos, sampled / sampled.sum())
