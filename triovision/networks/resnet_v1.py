"""ResNet50 of the original paper, which timm does not have, registered with timm as `resnet50_v1`."""

from __future__ import annotations

from typing import Any, cast

import timm
from timm.models import register_model
from timm.models.resnet import ResNet


@register_model
def resnet50_v1(*, pretrained: bool = False, **resnet50_args: Any) -> ResNet:  # noqa: ANN401 - timm's
    """Build the ResNet50 of "Deep Residual Learning for Image Recognition" (He et al., 2016) with Caffe's pooling.

    A stage halves the grid in the first convolution of its first block instead of the second, and the first pooling
    rounds up instead of padding. Names and shapes of the weights are those of timm's `resnet50`.

    Args:
        pretrained: Must be False: timm's hub holds weights of the later variant only.
        resnet50_args: Arguments of timm's `resnet50`.

    Raises:
        ValueError: If `pretrained` is True.
    """
    if pretrained:
        raise ValueError("timm's hub has no weights of resnet50_v1")
    resnet50_args.pop(
        "pretrained_cfg", None
    )  # timm passes both to every architecture, as None without pretrained weights
    resnet50_args.pop("pretrained_cfg_overlay", None)
    network = timm.create_model("resnet50", **resnet50_args)
    layers = cast(Any, network)  # torch types every attribute of a module as a tensor or a module
    layers.maxpool.padding, layers.maxpool.ceil_mode = 0, True
    for stage in (layers.layer2, layers.layer3, layers.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return cast(ResNet, network)
