"""Gradient-weighted attention maps of vision transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

METHODS: Final = ("Gradient-weighted attention",)
"""Names of the methods for transformers, the default first."""


class AttendingNetwork(Protocol):
    """A vision transformer that returns its attention."""

    def attend(self, batch_nchw: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return logits `(n, n_labels)` and each layer's attention `(n, heads, tokens, tokens)` with their graph.

        The first token is the class token, the others are patches, row by row.
        """
        ...


def attention_map(network: AttendingNetwork, batch_nchw: Tensor, label: int) -> NDArray[np.float32]:
    """Map the patches that raise a label's log-odds against all other labels.

    Attention rollout ("Quantifying Attention Flow in Transformers", Abnar and Zuidema, 2020), with each head's
    attention weighted by the positive part of its gradient ("Generic Attention-model Explainability", Chefer et al.,
    2021, equation 5). The gradient is that of the label's log-odds; that of its logit would mostly show features common
    to all countries.

    Args:
        network: Its parameters may be frozen.
        batch_nchw: One photo.
        label: Index of the logit.

    Returns:
        `float32` on the grid of patches; 0 where nothing raises the log-odds.
    """
    # Gradients are needed in any mode of the caller. The parameters are frozen, so the batch requires the gradient; a
    # copy of it, because a tensor made in inference mode cannot.
    with torch.inference_mode(mode=False), torch.enable_grad():
        logits, attention = network.attend(batch_nchw.clone().requires_grad_())
        others = torch.cat([logits[0, :label], logits[0, label + 1 :]])
        gradients = torch.autograd.grad(logits[0, label] - others.logsumexp(0), attention)
    from_class = rollout([(a[0] * g[0]).relu().mean(0) for a, g in zip(attention, gradients, strict=True)])[0, 1:]
    side = math.isqrt(len(from_class))
    heatmap_hw: NDArray[np.float32] = from_class.detach().reshape(side, side).float().cpu().numpy()
    return heatmap_hw


def rollout(weights: Sequence[Tensor]) -> Tensor:
    """Multiply the attention of all layers, the residual connections included.

    Args:
        weights: Attention of each layer, from every token (row) to every other one, not negative, shape
            `(tokens, tokens)`. The identity of the residual connection is added here.

    Returns:
        Contribution of each token (column) to each other one (row), shape `(tokens, tokens)`; rows sum to one.
    """
    flowed = torch.eye(len(weights[0]), device=weights[0].device)
    for layer in weights:
        kept = layer + torch.eye(len(layer), device=layer.device)
        flowed = (kept / kept.sum(dim=1, keepdim=True)) @ flowed
    return flowed
