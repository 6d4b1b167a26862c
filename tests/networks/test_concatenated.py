from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from triovision.networks import build_classifier, class_vectors, target_layer

TWO = "tf_efficientnet_lite0+mobilenetv2_100"


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return build_classifier(TWO, 3).eval()


def test_features_are_those_of_both_backbones_each_of_length_one(network: Any) -> None:
    batch_nchw = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        maps_nchw = network.forward_features(batch_nchw)
        features = network.forward_head(maps_nchw, pre_logits=True)
        expected = network.backbones[0].forward_features(batch_nchw).mean(dim=(2, 3))
    assert maps_nchw.shape == (2, 2560, 2, 3)
    torch.testing.assert_close(features.split(1280, dim=1)[0], nn.functional.normalize(expected, dim=1))
    torch.testing.assert_close(features.square().sum(dim=1), torch.full((2,), 2.0))


def test_logits_are_the_linear_layer_on_the_features(network: Any) -> None:
    batch_nchw = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        features = network.forward_head(network.forward_features(batch_nchw), pre_logits=True)
        torch.testing.assert_close(network(batch_nchw), network.head(features))
    assert class_vectors(network).shape == (3, 2560)


def test_the_target_layer_is_the_joint_grid(network: nn.Module) -> None:
    shapes = []
    handle = network.get_submodule(target_layer(TWO) or "").register_forward_hook(
        lambda *call: shapes.append(call[2].shape)
    )
    with torch.inference_mode():
        network(torch.rand(1, 3, 64, 64))
    handle.remove()
    assert shapes == [(1, 2560, 2, 2)]


@pytest.mark.parametrize("architecture", ["tf_efficientnet_lite0+vgg11", "tf_efficientnet_lite0+", "a+b"])
def test_a_backbone_that_is_not_supported_is_refused_by_name(architecture: str) -> None:
    with pytest.raises(ValueError, match="architecture"):
        build_classifier(architecture, 2)


def test_transformers_have_no_grid_to_join() -> None:
    with pytest.raises(ValueError, match="of no family"):
        build_classifier("tf_efficientnet_lite0+vit_tiny_patch16_224", 2)
