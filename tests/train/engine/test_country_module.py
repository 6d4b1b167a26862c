from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn

from triovision.errors import RecipeError
from triovision.train.engine.country_module import CountryModule
from triovision.train.losses.country import CrossEntropy
from triovision.train.models.build import build_country_network, eval_frozen, freeze_blocks
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import CountryLossSection

LABELS = ("FR", "JP", "US")

#: For each family of the comparison, a small member, its arguments and the names of its stem and first stage.
FAMILIES: dict[str, tuple[str, dict[str, object], tuple[str, ...]]] = {
    "efficientnet": ("test_efficientnet", {}, ("conv_stem", "bn1", "blocks.0")),
    "mobilenetv2": ("mobilenetv2_035", {}, ("conv_stem", "bn1", "blocks.0")),
    "resnet": ("test_resnet", {}, ("conv1", "bn1", "layer1")),
    "convnext": ("convnext_atto", {}, ("stem", "stages.0")),
    "densenet": (
        "densenet121",
        {},
        ("features.conv0", "features.norm0", "features.denseblock1", "features.transition1"),
    ),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 64, "window_size": 2, "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1]},
        ("patch_embed", "layers.0"),
    ),
    "vit": (
        "vit_tiny_patch16_224",
        {"img_size": 64, "embed_dim": 32, "depth": 3, "num_heads": 2},
        ("cls_token", "pos_embed", "patch_embed", "blocks.0"),
    ),
}


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "description": "",
            "architecture": "test_efficientnet",
            "starting_weights": "none",
            "preprocessing": {"input_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
            "augmentation": {"train_size": 64},
        }
        | fields
    )


def training(of: Recipe) -> CountryModule:
    loss = CrossEntropy(CountryLossSection(), np.array([1, 1, 1]), np.array([1.0, 1, 1]) / 3)
    return CountryModule(of, LABELS, ("held_out",), 2, loss)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_stem_and_the_first_stage_are_frozen(family: str) -> None:
    architecture, args, frozen = FAMILIES[family]
    chosen = recipe(architecture=architecture, architecture_args=args, freeze_blocks=1)
    network = build_country_network(chosen, 3)
    freeze_blocks(network, chosen)
    still = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    expected = {
        name for name, _ in network.named_parameters() if any(f"{name}.".startswith(f"{part}.") for part in frozen)
    }
    assert still == expected
    assert still


@pytest.mark.parametrize("family", ["efficientnet", "resnet"])
def test_frozen_blocks_keep_weights_and_statistics_while_the_rest_learns(family: str) -> None:
    architecture, args, _ = FAMILIES[family]
    chosen = recipe(architecture=architecture, architecture_args=args, freeze_blocks=2, drop_rate=0.0)
    module = training(chosen)
    before = {name: tensor.clone() for name, tensor in module.network.state_dict().items()}
    module.train()
    module.on_train_epoch_start()
    optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    module.network(torch.randn(4, 3, 64, 64)).square().sum().backward()
    optimiser.step()
    changed = {name for name, tensor in module.network.state_dict().items() if not torch.equal(tensor, before[name])}
    frozen = {name for name, p in module.network.named_parameters() if not p.requires_grad}
    assert changed.isdisjoint(frozen)
    stages = {".".join(name.split(".")[:2]) if family == "efficientnet" else name.split(".")[0] for name in changed}
    assert stages.isdisjoint({"conv1", "bn1", "layer1", "layer2", "conv_stem.weight", "blocks.0", "blocks.1"})
    assert any("running_mean" in name for name in changed)


def test_nothing_is_dropped_out_in_what_is_frozen() -> None:
    network = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), nn.Linear(2, 2))
    network[0].requires_grad_(False)
    network.train()
    eval_frozen(network)
    assert [module.training for module in network.modules()] == [True, False, False, False, True]


def test_more_blocks_than_there_are_cannot_be_frozen() -> None:
    chosen = recipe(architecture="test_resnet", freeze_blocks=5)
    with pytest.raises(RecipeError, match="has 4 blocks"):
        freeze_blocks(build_country_network(chosen, 3), chosen)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"architecture": "resnet_of_mine"}, "unknown to timm"),
        ({"architecture_args": {"wings": 2}}, "wings"),
        ({"architecture_args": {"pretrained": True}}, "may not hold pretrained"),
        ({"architecture": "vit_tiny_patch16_224"}, "`preprocessing.input_size` is 64"),
        (
            {
                "architecture": "vit_tiny_patch16_224",
                "architecture_args": {"img_size": 64},
                "augmentation": {"train_size": 48},
            },
            "`augmentation.train_size` is 48",
        ),
    ],
)
def test_a_network_that_cannot_be_built_is_an_error_in_words(fields: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build_country_network(recipe(**fields), 3)


def test_the_training_log_holds_the_means_since_the_epoch_began(monkeypatch: pytest.MonkeyPatch) -> None:
    module = training(recipe())
    logits = torch.eye(3)[[0, 1, 0, 2]] * 100
    monkeypatch.setattr(module.network, "forward", lambda _: logits)
    logged: dict[str, Tensor] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    monkeypatch.setattr("lightning.LightningModule.trainer", type("Trainer", (), {
        "optimizers": [torch.optim.SGD([nn.Parameter(torch.zeros(1))])], "strategy": SingleDeviceStrategy("cpu"),
    })())  # fmt: skip
    images = torch.zeros(4, 3, 8, 8)
    # The last photo has no label: two of three are right, then three of three.
    first = module.training_step((images, torch.tensor([0, 1, 1, -1])), 0)
    assert logged["train/top1"].item() == pytest.approx(2 / 3)
    second = module.training_step((images, torch.tensor([0, 1, 0, -1])), 1)
    assert logged["train/top1"].item() == pytest.approx(5 / 6)
    assert logged["train/loss"].item() == pytest.approx((first.item() + second.item()) / 2)
    module.on_train_epoch_start()
    module.training_step((images, torch.tensor([0, 1, 0, -1])), 0)
    assert logged["train/top1"].item() == 1
