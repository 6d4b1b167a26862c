"""Country classifiers: a timm backbone with one logit a country."""

from __future__ import annotations

from typing import Any, cast

import timm
from torch import Tensor, nn

from triovision.networks import resnet_v1  # noqa: F401 - registers an architecture with timm

#: For each convolutional family that has one linear layer as its head: the last layer whose output is a grid, behind
#: its activation where the family has one there. Class activation maps assume outputs that are not negative.
_LAST_GRID = {
    "efficientnet": "bn2",
    "mobilenetv2": "bn2",
    "resnetgps": "regressor.resnet.layer4",
    "resnet": "layer4",
    "convnext": "stages.3",
    "densenet": "features.norm5",
}

#: Families with such a head whose layers hand on tokens, where class activation maps read channels of a grid.
_TOKENS = ("vit_", "swin_")

#: Arguments of timm that would read or fetch other weights than those of the model's folder, or are set here.
_NOT_OURS = frozenset(
    {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "num_classes"}
    | {"features_only", "scriptable", "exportable", "no_jit"}
)


def build_classifier(architecture: str, n_labels: int, **architecture_args: Any) -> nn.Module:  # noqa: ANN401 - timm's
    """A country classifier with random weights.

    Args:
        architecture: Name of a timm architecture, such as `"tf_efficientnet_lite0"`.
        n_labels: Number of logits; 0 leaves the last layer out.
        architecture_args: Passed on to `timm.create_model`, such as `drop_rate`.

    Returns:
        A network from `batch_nchw` (float, normalised) to logits of shape `(n, n_labels)`.

    Raises:
        ValueError: If timm has no such architecture, its family is none that TrioVision trains, or an argument is
            none that shapes a network.
        TypeError: If the architecture has no such argument.
    """
    if not timm.is_model(architecture):
        raise ValueError(f"`architecture` {architecture!r} is unknown to timm {timm.__version__}")
    if target_layer(architecture) is None and not architecture.startswith(_TOKENS):
        families = ", ".join((*_LAST_GRID, *_TOKENS))
        raise ValueError(f"`architecture` {architecture!r} is of no family among {families}")
    if forbidden := _NOT_OURS & architecture_args.keys():
        raise ValueError(f"`architecture_args` may not hold {', '.join(sorted(forbidden))}")
    network: nn.Module = timm.create_model(architecture, num_classes=n_labels, **architecture_args)
    return network


def target_layer(architecture: str) -> str | None:
    """Dotted name of the layer that class activation maps read: the last one whose output is a grid.

    None for the transformers, which class activation maps cannot explain.
    """
    return next((layer for family, layer in _LAST_GRID.items() if family in architecture), None)


def head_of(network: nn.Module) -> nn.Module:
    """The last, linear layer."""
    return cast(nn.Module, cast(Any, network).get_classifier())


def class_vectors(network: nn.Module) -> Tensor:
    """Rows of the last linear layer, one a label: shape `(n_labels, n_features)`."""
    return cast(Tensor, head_of(network).weight).detach()
