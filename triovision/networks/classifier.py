"""Country classifiers: a timm backbone with one logit a country."""

from __future__ import annotations

from typing import Any, cast

import timm
from torch import Tensor, nn

#: For each family that has one linear layer as its head: the last layer whose output is a grid, behind its activation
#: where the family has one there. Class activation maps assume outputs that are not negative.
_LAST_GRID = {"efficientnet": "bn2", "mobilenetv2": "bn2", "resnet": "layer4", "convnext": "stages.3"}


def build_classifier(architecture: str, n_labels: int, **architecture_args: Any) -> nn.Module:  # noqa: ANN401 - timm's
    """A country classifier with random weights.

    Args:
        architecture: Name of a timm architecture, such as `"tf_efficientnet_lite0"`.
        n_labels: Number of logits.
        architecture_args: Passed on to `timm.create_model`, such as `drop_rate`.

    Returns:
        A network from `batch_nchw` (float, normalised) to logits of shape `(n, n_labels)`.

    Raises:
        ValueError: If timm has no such architecture or the family is not one that TrioVision can explain.
    """
    if not timm.is_model(architecture):
        raise ValueError(f"`architecture` {architecture!r} is unknown to timm {timm.__version__}")
    if not any(family in architecture for family in _LAST_GRID):
        raise ValueError(f"`architecture` {architecture!r} is of no family among {', '.join(_LAST_GRID)}")
    network: nn.Module = timm.create_model(architecture, num_classes=n_labels, **architecture_args)
    return network


def last_grid(architecture: str) -> str:
    """Dotted name of the layer that class activation maps read: the last one whose output is a grid."""
    return next(layer for family, layer in _LAST_GRID.items() if family in architecture)


def head_of(network: nn.Module) -> nn.Module:
    """The last, linear layer."""
    return cast(nn.Module, cast(Any, network).get_classifier())


def class_vectors(network: nn.Module) -> Tensor:
    """Rows of the last linear layer, one a label: shape `(n_labels, n_features)`."""
    return cast(Tensor, head_of(network).weight).detach()
