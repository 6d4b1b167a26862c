"""Gradient-weighted attention maps of vision transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triovision.explain.scores import Target


class AttendingNetwork(Protocol):
    """A vision transformer that returns its attention."""

    def attend(self, batch_nchw: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return logits `(n, n_labels)` and each layer's attention `(n, heads, tokens, tokens)` with their graph.

        The first token is the class token, the others are patches, row by row.
        """
        ...


def attention_map(network: AttendingNetwork, batch_nchw: Tensor, target: Target) -> NDArray[np.float32]:
    """Map the patches that raise a label's log-odds against all other labels, or against one other label.

    Attention rollout ("Quantifying Attention Flow in Transformers", Abnar and Zuidema, 2020), with each head's
    attention weighted by the positive part of its gradient ("Generic Attention-model Explainability", Chefer et al.,
    2021, equation 5). The gradient is that of the label's log-odds; that of its logit would mostly show features common
    to all countries. A contrast is the map of the difference of the two logits less that of the opposite difference,
    as for class activation maps.

    Args:
        network: Its parameters may be frozen.
        batch_nchw: One photo.
        target: What is explained.

    Returns:
        `float32` on the grid of patches, not negative: 0 where nothing raises the log-odds. A contrast has both signs.
    """
    # Gradients are needed in any mode of the caller. The parameters are frozen, so the batch requires the gradient; a
    # copy of it, because a tensor made in inference mode cannot.
    with torch.inference_mode(mode=False), torch.enable_grad():
        logits, attention = network.attend(batch_nchw.clone().requires_grad_())
        if target.against is None:
            others = torch.cat([logits[0, : target.label], logits[0, target.label + 1 :]])
            flow = _flow(logits[0, target.label] - others.logsumexp(0), attention)
        else:
            difference = target.score(logits[0])
            flow = _flow(difference, attention) - _flow(-difference, attention)
    side = math.isqrt(len(flow))
    heatmap_hw: NDArray[np.float32] = flow.detach().reshape(side, side).float().cpu().numpy()
    return heatmap_hw


def _flow(score: Tensor, attention: tuple[Tensor, ...]) -> Tensor:
    """Contribution of each patch to the class token, weighted by what raises a score, shape `(patches,)`."""
    gradients = torch.autograd.grad(score, attention, retain_graph=True)
    return rollout([(a[0] * g[0]).relu().mean(0) for a, g in zip(attention, gradients, strict=True)])[0, 1:]


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
