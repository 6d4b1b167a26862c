"""The losses that a recipe may name, all of soft targets: a photo without a label wants all countries alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.train.data.dataset import NO_LABEL
from triovision.train.recipes.sections import Loss


def soft_targets(target: Tensor, n_labels: int, label_smoothing: float, spread: Tensor | None = None) -> Tensor:
    """Wanted probabilities `(n, n_labels)`; a photo without a label wants all countries alike.

    The uniform target is outlier exposure: "Deep Anomaly Detection with Outlier Exposure" (Hendrycks et al., 2019).

    Args:
        target: Indices `(n,)`, `NO_LABEL` where the country has no label.
        n_labels: Number of labels.
        label_smoothing: Share of a target that is spread over all labels.
        spread: How it is spread, `(n_labels,)`; evenly when None.
    """
    known = (target != NO_LABEL).float().unsqueeze(1)
    share = known * (1 - label_smoothing)
    rest = (1 - share) / n_labels if spread is None else (1 - share) * spread
    return share * F.one_hot(target.clamp(min=0), n_labels) + rest


class CountryLoss(nn.Module):
    """The loss of a recipe, the mean over a batch.

    Args:
        loss: Names the loss.
        photos: Training photos of each label, `(n_labels,)`, for the class weights.
        shares: Share of each label among the labelled draws, `(n_labels,)`, for the logit adjustment.
    """

    weights: Tensor | None
    log_shares: Tensor

    def __init__(self, loss: Loss, photos: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        super().__init__()
        self.loss = loss
        balanced = torch.from_numpy(balanced_weights(photos)).float() if loss.class_weights == "balanced" else None
        # They follow from the data: no part of the checkpoint.
        self.register_buffer("weights", balanced, persistent=False)
        self.register_buffer("log_shares", torch.from_numpy(shares).float().log(), persistent=False)

    def targets(self, target: Tensor, label_smoothing: float) -> Tensor:
        """See `soft_targets`. Where logits are adjusted, even logits are those that answer with the shares."""
        adjusted = self.loss.name == "logit_adjustment"
        spread = (self.loss.adjustment * self.log_shares).softmax(dim=0) if adjusted else None
        return soft_targets(target, len(self.log_shares), label_smoothing, spread)

    def forward(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """The loss of `logits` where `wanted` probabilities are the targets, both `(n, n_labels)`."""
        match self.loss.name:
            case "cross_entropy":
                each = F.cross_entropy(logits, wanted, self.weights, reduction="none")
            case "focal":
                each = focal_loss(logits, wanted, self.weights, self.loss.focal_gamma)
            case "binary_cross_entropy":
                # The sum over labels, so that a rate which suits the other losses suits this one.
                each = F.binary_cross_entropy_with_logits(logits, wanted, self.weights, reduction="none").sum(1)
            case "logit_adjustment":
                each = F.cross_entropy(logits + self.loss.adjustment * self.log_shares, wanted, reduction="none")
        if self.weights is None:
            return each.mean()
        # As torch does with indices: the mean is over the weights, not over the photos.
        return each.sum() / (wanted @ self.weights).sum()


def focal_loss(logits: Tensor, wanted: Tensor, weights: Tensor | None, gamma: float) -> Tensor:
    """Focal loss of each photo: -sum over labels of weight · wanted · (1 - p)^gamma · log p, shape `(n,)`."""
    log_p = F.log_softmax(logits, dim=1)
    # 1 - p rounds to 0 where p rounds to 1; a power below 1 would have an infinite slope there.
    doubt = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).eps)
    each = wanted * doubt**gamma * -log_p
    return (each if weights is None else each * weights).sum(dim=1)


def balanced_weights(photos: NDArray[np.int64]) -> NDArray[np.float64]:
    """All photos over the number of labels times the photos of the label: the mean over the photos is 1."""
    weights: NDArray[np.float64] = photos.sum() / (len(photos) * photos)
    return weights


def country_loss(
    loss: Loss, labels: Sequence[str], target: NDArray[np.int64], shares: NDArray[np.float64]
) -> CountryLoss:
    """The loss of a recipe for its training photos; class weights are printed.

    Args:
        loss: Names the loss.
        labels: Countries in the order of the logits.
        target: Label of each training photo, or `NO_LABEL`.
        shares: Share of each training photo among the draws.
    """
    known = target != NO_LABEL
    photos = np.bincount(target[known], minlength=len(labels))
    drawn = np.bincount(target[known], shares[known], minlength=len(labels))
    if loss.class_weights == "balanced":
        weights = zip(labels, balanced_weights(photos), photos, strict=True)
        words = ", ".join(f"{label} {weight:.3g} ({n} photos)" for label, weight, n in weights)
        rank_zero_info(f"class weights: {words}")
    return CountryLoss(loss, photos, drawn / drawn.sum())
