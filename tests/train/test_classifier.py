from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from triovision.inference.preprocessing import Preprocessing
from triovision.train.classifier import CountryTraining, rate_at, soft_targets
from triovision.train.data import NO_LABEL
from triovision.train.recipe import Optimisation, Recipe


def test_smoothing_is_torch_s_own() -> None:
    logits, target = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0, 1])
    for share in (0.0, 0.1):
        got = F.cross_entropy(logits, soft_targets(target, 4, share))
        torch.testing.assert_close(got, F.cross_entropy(logits, target, label_smoothing=share))


def test_a_photo_without_a_label_wants_all_countries_alike() -> None:
    wanted = soft_targets(torch.tensor([NO_LABEL, 1]), 4, 0.2)
    torch.testing.assert_close(wanted, torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.05, 0.85, 0.05, 0.05]]))


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
