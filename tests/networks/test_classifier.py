from __future__ import annotations

import pytest
import torch

from triovision.networks import build_classifier, class_vectors, head_of, last_grid

ARCHITECTURES = ["tf_efficientnet_lite0", "efficientnet_b0", "mobilenetv2_100", "resnet18", "convnext_atto"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_family_has_logits_a_head_and_a_last_grid(architecture: str) -> None:
    network = build_classifier(architecture, 5).eval()
    grids = []
    network.get_submodule(last_grid(architecture)).register_forward_hook(lambda *call: grids.append(call[2].shape))
    with torch.inference_mode():
        logits = network(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 5)
    assert grids[0][0] == 2
    assert grids[0][2:] == (2, 2)  # 64 pixels at a stride of 32
    assert class_vectors(network).shape == (5, grids[0][1])
    assert head_of(network).weight.shape[0] == 5


@pytest.mark.parametrize("architecture", ["tf_efficientnet_lite0", "mobilenetv2_100", "resnet18"])
def test_the_last_grid_is_never_negative(architecture: str) -> None:
    torch.manual_seed(0)
    network = build_classifier(architecture, 2).eval()
    lowest = []
    network.get_submodule(last_grid(architecture)).register_forward_hook(lambda *call: lowest.append(call[2].min()))
    with torch.inference_mode():
        network(torch.randn(1, 3, 64, 64))
    assert lowest[0] >= 0


@pytest.mark.parametrize("architecture", ["vgg11", "efficientnet_b99", ""])
def test_other_architectures_are_refused(architecture: str) -> None:
    with pytest.raises(ValueError, match="architecture"):
        build_classifier(architecture, 2)


def test_arguments_reach_the_architecture() -> None:
    assert build_classifier("tf_efficientnet_lite0", 2, drop_rate=0.25).drop_rate == 0.25
