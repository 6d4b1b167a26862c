from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from examples.relations.geometry import SPATIAL_SIZE
from examples.relations.metrics import parameters
from examples.relations.network import RelationHead, RelationNetwork
from examples.relations.recipe import NetworkSection


def inputs(n: int = 4, n_features: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.rand(n, 2, n_features, generator=random), torch.rand(n, SPATIAL_SIZE, generator=random)


def head(**section: object) -> RelationHead:
    torch.manual_seed(0)
    return RelationHead(16, NetworkSection.model_validate(section)).eval()


def test_the_parameters_are_those_of_the_study() -> None:
    counts = parameters(RelationHead(2048, NetworkSection()))
    assert counts["visual"] == (4096 * 1024 + 1024) + (1024 * 128 + 128) == 4_326_528
    assert counts["spatial"] == (13 * 512 + 512) + (512 * 128 + 128) == 72_832  # "about 73,000"
    assert counts["fusion"] == (256 * 960 + 960) + (960 * 128 + 128) == 369_728
    assert counts["relations"] == 10 * 128
    assert counts["visual"] + counts["fusion"] == 4_696_256  # "about 4.7 million"
    assert counts["all"] == 4_770_368  # "4.77 million"


def test_logits_are_cosines_over_the_temperature() -> None:
    network = head(temperature=0.07)
    features, spatial = inputs()
    logits = network(features, spatial)
    assert logits.shape == (4, 10)
    assert logits.abs().max() <= 1 / 0.07 + 1e-4
    # A cosine does not depend on the length of the vectors.
    with torch.no_grad():
        network.relations.mul_(7)
        network.fusion[2].weight.mul_(3)
        network.fusion[2].bias.mul_(3)
    torch.testing.assert_close(network(features, spatial), logits)
    torch.testing.assert_close(head(temperature=0.14)(features, spatial), logits / 2)


def test_the_order_of_the_two_things_counts() -> None:
    features, spatial = inputs()
    assert not torch.allclose(head()(features, spatial), head()(features.flip(1), spatial))


@pytest.mark.parametrize(("branches", "blind_to"), [("spatial", 0), ("visual", 1)])
def test_an_ablation_does_not_see_the_other_branch(branches: str, blind_to: int) -> None:
    network = head(branches=branches)
    before = inputs()
    after = [tensor + 1 if i == blind_to else tensor for i, tensor in enumerate(before)]
    torch.testing.assert_close(network(*after), network(*before), rtol=0, atol=0)
    assert not torch.allclose(network(*after), network(before[0] + 1, before[1] + 1))


def test_the_backbone_is_frozen_and_keeps_its_statistics() -> None:
    torch.manual_seed(0)
    backbone = timm.create_model("test_resnet", num_classes=0)
    network = RelationNetwork(backbone, RelationHead(backbone.num_features, NetworkSection())).train()
    assert network.head.training
    assert not any(module.training for module in backbone.modules())
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.rand(2, 2, 3, 32, 32), torch.rand(2, SPATIAL_SIZE)).sum().backward()
    optimiser.step()
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(p.grad is not None for p in network.head.parameters())


def test_crops_give_what_their_features_give() -> None:
    backbone = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = RelationNetwork(backbone, RelationHead(3, NetworkSection())).eval()
    crops, spatial = torch.rand(5, 2, 3, 8, 8), torch.rand(5, SPATIAL_SIZE)
    torch.testing.assert_close(network(crops, spatial), network.head(crops.mean((3, 4)), spatial))
