from __future__ import annotations

from pathlib import Path

import timm
import torch

from examples.animals.network import BaselineCNN
from triovision.train.models.build import build_country_network
from triovision.train.recipes.country_recipe import read_recipe

RECIPE = str(Path(__file__).parents[1] / "recipes" / "baseline.toml")


def test_the_baseline_has_one_convolution_and_one_dense_layer() -> None:
    network = timm.create_model("baseline_cnn", num_classes=2)
    # 32 kernels of 3 · 3 · 3 with a bias each, then 32 · 32² inputs of two logits with a bias each.
    assert sum(parameter.numel() for parameter in network.parameters()) == 32 * 28 + 2 * (32 * 32**2 + 1)
    wide = timm.create_model("baseline_cnn", num_classes=2, filters=128)
    assert sum(parameter.numel() for parameter in wide.parameters()) == 128 * 28 + 2 * (128 * 32**2 + 1)


def test_of_64_pixels_the_pooling_takes_the_maximum_of_two_by_two() -> None:
    network = BaselineCNN(num_classes=0, filters=4, act_layer="relu", drop_rate=0.0)
    batch = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.max_pool2d(network.conv(batch).relu(), 2)
    torch.testing.assert_close(network(batch), expected.flatten(1))
    assert network(torch.rand(1, 3, 100, 80)).shape == (1, 4 * 32**2)


def test_a_recipe_names_it_with_its_arguments() -> None:
    recipe = read_recipe(RECIPE, ["architecture_args.filters=8", 'architecture_args.act_layer="tanh"', "drop_rate=0.5"])
    network = build_country_network(recipe, 2)
    assert isinstance(network, BaselineCNN)
    assert network.conv.out_channels == 8
    assert network.act(torch.tensor(1.0)) == torch.tanh(torch.tensor(1.0))
    assert network.drop.p == 0.5
