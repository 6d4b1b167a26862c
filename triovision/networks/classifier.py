"""Country classifiers: timm networks with one logit per country."""

from __future__ import annotations

from typing import Any, cast

import timm
from torch import Tensor, nn

from triovision.networks import resnet_v1  # noqa: F401 - registers an architecture with timm
from triovision.networks.concatenated import SEPARATOR, ConcatenatedBackbones

#: Target layer of class activation maps, for each convolutional family with one linear layer as its head: the last
#: layer with a grid as output, after its activation if it has one, because the maps assume non-negative outputs.
_TARGET_LAYERS = {
    "efficientnet": "bn2",
    "mobilenetv2": "bn2",
    "resnetgps": "regressor.resnet.layer4",
    "resnet": "layer4",
    "convnext": "stages.3",
    "densenet": "features.norm5",
}

#: Families with such a head and token outputs, which class activation maps cannot read.
_TRANSFORMERS = ("vit_", "swin_")

#: Arguments of timm that describe a shape, with the largest number of each. Others may load, fetch or run something.
_NUMBERS = {
    **dict.fromkeys(("drop_rate", "drop_path_rate", "proj_drop_rate", "attn_drop_rate"), 1),
    **dict.fromkeys(("depth", "depths", "layers", "num_heads", "patch_size", "window_size"), 64),
    **dict.fromkeys(("embed_dim", "dims"), 4096),
    "img_size": 1024,
    "mlp_ratio": 16,
}
_CHOICES = {"pad_type": ("", "same"), "global_pool": ("avg", "max", "avgmax", "token")}
_MAX_STAGES = 8


def build_classifier(architecture: str, n_labels: int, **architecture_args: Any) -> nn.Module:  # noqa: ANN401 - timm's
    """Build a country classifier with random weights.

    Args:
        architecture: Name of a timm architecture, such as `"tf_efficientnet_lite0"`, or of several joined by `+`.
        n_labels: Number of logits; 0 omits the last layer.
        architecture_args: Arguments of `timm.create_model` that describe a shape, such as `drop_rate` and `img_size`.

    Returns:
        A network from `batch_nchw` (float, normalised) to logits of shape `(n, n_labels)`.

    Raises:
        ValueError: If the architecture is unknown to timm, its family is not supported, or an argument is none of those
            that a card may hold or is out of its range.
        TypeError: If the architecture has no such argument.
    """
    backbones = architecture.split(SEPARATOR)
    for backbone in backbones:
        _check_backbone(backbone, transformers=len(backbones) == 1)
    for name, value in architecture_args.items():
        _check_argument(name, value)
    if len(backbones) > 1:
        return ConcatenatedBackbones(backbones, n_labels, **architecture_args)
    network: nn.Module = timm.create_model(architecture, num_classes=n_labels, **architecture_args)
    return network


def build_registered_classifier(architecture: str, n_labels: int, **architecture_args: Any) -> nn.Module:  # noqa: ANN401 - timm's
    """Build a classifier of any architecture in timm's registry for training, where a card may name fewer.

    A project adds its own with `timm.models.register_model`; its arguments are not checked here. Beside `forward`,
    `get_classifier`, `forward_features`, `forward_head` and `group_matcher`, as timm's networks have them, are needed
    only by the options of a recipe that use them.

    Args:
        architecture: Name in timm's registry, or several joined by `+`.
        n_labels: Number of logits, given to the architecture as `num_classes`.
        architecture_args: See `build_classifier`.

    Raises:
        ValueError: As `build_classifier`, but for the family.
        TypeError: If the architecture has no such argument.
    """
    if SEPARATOR in architecture or not timm.is_model(architecture):
        return build_classifier(architecture, n_labels, **architecture_args)
    if timm.model_entrypoint(architecture).__module__.partition(".")[0] in ("timm", "triovision"):
        for name, value in architecture_args.items():
            _check_argument(name, value)
    network: nn.Module = timm.create_model(architecture, num_classes=n_labels, **architecture_args)
    return network


def _check_argument(name: str, value: object) -> None:
    if name in _CHOICES:
        fits = value in _CHOICES[name]
    elif name in _NUMBERS:
        numbers = value if isinstance(value, list | tuple) else [value]
        fits = 0 < len(numbers) <= _MAX_STAGES and all(
            isinstance(number, int | float) and type(number) is not bool and 0 <= number <= _NUMBERS[name]
            for number in numbers
        )
    else:
        allowed = ", ".join(sorted((*_NUMBERS, *_CHOICES)))
        raise ValueError(f"`architecture_args` may not hold {name}, only {allowed}")
    if not fits:
        raise ValueError(f"`architecture_args.{name}` is out of its range: {value!r:.60}")


def _check_backbone(architecture: str, *, transformers: bool) -> None:
    if not timm.is_model(architecture):
        raise ValueError(f"`architecture` {architecture!r} is unknown to timm {timm.__version__}")
    if target_layer(architecture) is None and not (transformers and architecture.startswith(_TRANSFORMERS)):
        families = ", ".join((*_TARGET_LAYERS, *(_TRANSFORMERS if transformers else ())))
        raise ValueError(f"`architecture` {architecture!r} is of no family among {families}")


def target_layer(architecture: str) -> str | None:
    """Return the dotted name of the layer for class activation maps; None for transformers."""
    if SEPARATOR in architecture:
        return "grid"
    return next((layer for family, layer in _TARGET_LAYERS.items() if family in architecture), None)


def head_of(network: nn.Module) -> nn.Module:
    """Return the last, linear layer."""
    return cast(nn.Module, cast(Any, network).get_classifier())


def class_vectors(network: nn.Module) -> Tensor:
    """Return the weight of the last layer, one row per label, shape `(n_labels, n_features)`."""
    return cast(Tensor, head_of(network).weight).detach()


class PooledBackbone(nn.Module):
    """A timm classifier without its last layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = cast(Any, network)

    def forward(self, batch_nchw: Tensor) -> Tensor:
        """Pooled features, `(n, n_features)`."""
        features: Tensor = self.network.forward_head(self.network.forward_features(batch_nchw), pre_logits=True)
        return features
