from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from triovision.inference.preprocessing import Preprocessing
from triovision.train.classifier import CountryTraining, cross_entropy, rate_at
from triovision.train.data import NO_LABEL
from triovision.train.recipe import Optimisation, Recipe


def test_without_smoothing_it_is_the_usual_cross_entropy() -> None:
    logits, target = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0, 1])
    torch.testing.assert_close(cross_entropy(logits, target, 0), F.cross_entropy(logits, target))
    expected = F.cross_entropy(logits, target, label_smoothing=0.1)
    torch.testing.assert_close(cross_entropy(logits, target, 0.1), expected)


def test_a_photo_without_a_label_wants_all_countries_alike() -> None:
    target = torch.tensor([NO_LABEL])
    even, sure = torch.zeros(1, 4), torch.tensor([[5.0, 0, 0, 0]])
    assert cross_entropy(even, target, 0.1).item() == pytest.approx(math.log(4))
    assert cross_entropy(sure, target, 0.1) > cross_entropy(even, target, 0.1)


def test_each_layer_learns_slower_than_the_one_behind_it() -> None:
    recipe = Recipe(
        name="tiny",
        description="",
        architecture="test_efficientnet",
        preprocessing=Preprocessing(input_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        optimisation=Optimisation(learning_rate=1e-3, head_factor=2, layer_decay=0.5),
    )
    module = CountryTraining(recipe, ("FR", "JP"), (), steps=10)
    optimiser = module.configure_optimizers()["optimizer"]
    rates = {id(p): group["initial_lr"] for group in optimiser.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    head, stem = module.network.get_submodule("classifier"), module.network.get_submodule("conv_stem")
    assert rates[id(stem.weight)] < rates[id(head.weight)] / 8
    assert rates[id(head.weight)] in {2e-3, 1e-3}  # timm counts the last layer as one of its own, or not
    assert decays[id(head.weight)] == recipe.optimisation.weight_decay
    assert decays[id(head.bias)] == 0
    assert len(rates) == len(list(module.network.parameters()))


def test_the_rate_rises_then_falls_to_nothing() -> None:
    optimisation = Optimisation(epochs=3, warmup_epochs=1)
    rates = [rate_at(step, 10, optimisation) for step in range(31)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[20] == pytest.approx(0.5)
    assert rates[30] == pytest.approx(0)
