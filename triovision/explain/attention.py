"""Gradient-weighted attention: which patches a vision transformer drew on to tell a country from all others."""

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
    """A vision transformer that shows what it attended to."""

    def attend(self, batch_nchw: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits `(n, n_labels)`, and each layer's attention `(n, heads, tokens, tokens)` as nodes of their graph.

        The first token is that of the class, the others are patches, row by row.
        """
        ...


def attention_map(network: AttendingNetwork, batch_nchw: Tensor, label: int) -> NDArray[np.float32]:
    """Map the patches that speak for a label and against the others.

    Attention rollout ("Quantifying Attention Flow in Transformers", Abnar and Zuidema, 2020), with each head's
    attention weighted by the positive part of its gradient ("Generic Attention-model Explainability", Chefer et al.,
    2021, equation 5). The gradient is that of the label's log-odds: a logit of its own would mostly show what all
    countries share.

    Args:
        network: Its parameters may be frozen.
        batch_nchw: One photo.
        label: Index of the logit.

    Returns:
        `float32` of the grid of patches; 0 where nothing speaks for the label.
    """
    # Gradients are on whatever the caller's mode is. The network is frozen, so the batch has to ask for them; a copy
    # of it, because one that was made in inference mode could not.
    with torch.inference_mode(mode=False), torch.enable_grad():
        logits, attention = network.attend(batch_nchw.clone().requires_grad_())
        others = torch.cat([logits[0, :label], logits[0, label + 1 :]])
        gradients = torch.autograd.grad(logits[0, label] - others.logsumexp(0), attention)
    from_class = rollout([(a[0] * g[0]).relu().mean(0) for a, g in zip(attention, gradients, strict=True)])[0, 1:]
    side = math.isqrt(len(from_class))
    heatmap_hw: NDArray[np.float32] = from_class.detach().reshape(side, side).float().cpu().numpy()
    return heatmap_hw


def rollout(weights: Sequence[Tensor]) -> Tensor:
    """How much of each token has flowed into each other one after all layers, shape `(tokens, tokens)`.

    Args:
        weights: For each layer, how much every token (row) takes from every other one; not negative. What a token
            keeps of itself, through the residual connection, is added here.

    Returns:
        Rows that sum to one.
    """
    flowed = torch.eye(len(weights[0]), device=weights[0].device)
    for layer in weights:
        kept = layer + torch.eye(len(layer), device=layer.device)
        flowed = (kept / kept.sum(dim=1, keepdim=True)) @ flowed
    return flowed
