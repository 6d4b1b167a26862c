"""Country classifiers: a timm backbone with one logit a country."""

from __future__ import annotations

from typing import Any, cast

import timm
from torch import Tensor, nn

#: Families whose stages are laid out as `last_stage` expects and whose head is one linear layer.
_STAGES = {"efficientnet": "blocks", "mobilenet": "blocks", "resnet": "layer4", "convnext": "stages"}


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
    if not any(family in architecture for family in _STAGES):
        raise ValueError(f"`architecture` {architecture!r} is of no family among {', '.join(_STAGES)}")
    network: nn.Module = timm.create_model(architecture, num_classes=n_labels, **architecture_args)
    return network


def last_stage(network: nn.Module, architecture: str) -> str:
    """Dotted name of the last convolutional stage: the layer that class activation maps read."""
    stage = next(layer for family, layer in _STAGES.items() if family in architecture)
    module = network.get_submodule(stage)
    if stage in {"blocks", "stages"}:
        return f"{stage}.{len(cast(nn.Sequential, module)) - 1}"
    return stage


def head_of(network: nn.Module) -> nn.Module:
    """The last, linear layer."""
    return cast(nn.Module, cast(Any, network).get_classifier())


def class_vectors(network: nn.Module) -> Tensor:
    """Rows of the last linear layer, one a label: shape `(n_labels, n_features)`."""
    return cast(Tensor, head_of(network).weight).detach()
