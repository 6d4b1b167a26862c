"""Initial weights from a file, from timm's hub and from another classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from triovision.errors import RecipeError
from triovision.networks import build_classifier, head_of
from triovision.train.models.build import build_country_network
from triovision.train.models.init_weights import init_backbone, init_from_classifier
from triovision.train.recipes.country_recipe import Recipe, read_recipe

RECIPE = Recipe.model_validate(
    {
        "name": "tiny",
        "description": "",
        "architecture": "test_efficientnet",
        "preprocessing": {"input_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3},
    }
)
Small = Callable[..., Recipe]


def test_weights_of_a_file_fill_all_layers_but_the_last(tmp_path: Path) -> None:
    torch.manual_seed(3)
    source, network = build_classifier("test_efficientnet", 7), build_classifier("test_efficientnet", 3)
    save_file(source.state_dict(), tmp_path / "init.safetensors")
    init_backbone(network, RECIPE, tmp_path / "init.safetensors")
    torch.testing.assert_close(network.get_submodule("conv_stem").weight, source.get_submodule("conv_stem").weight)
    assert network.get_submodule("classifier").weight.shape[0] == 3


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"other.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "note.safetensors").write_text("not weights")
    for name, message in (
        ("other", "does not fit"),
        ("note", "not a readable safetensors"),
        ("gone", "not a readable"),
    ):
        with pytest.raises(RecipeError, match=message):
            init_backbone(build_classifier("test_efficientnet", 3), RECIPE, tmp_path / f"{name}.safetensors")


def test_another_classifier_gives_the_labels_that_both_have(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(3)
    source, known, labels = build_classifier("test_efficientnet", 3), ("FR", "JP", "NA"), ("DE", "NA", "JP")
    network = build_classifier("test_efficientnet", 3)
    init_from_classifier(network, labels, source, known, "first")
    assert "has no label for ['DE']" in caplog.text
    torch.testing.assert_close(network.get_submodule("conv_stem").weight, source.get_submodule("conv_stem").weight)
    new, old = (head.get_submodule("classifier") for head in (network, source))
    for row, label in enumerate(labels[1:], start=1):
        torch.testing.assert_close(new.weight[row], old.weight[known.index(label)])
        torch.testing.assert_close(new.bias[row], old.bias[known.index(label)])
    with pytest.raises(RecipeError, match="another architecture"):
        init_from_classifier(build_classifier("test_resnet", 3), labels, source, known, "first")


@pytest.mark.parametrize("name", ["resnet50", "densenet201", "convnext_tiny", "swin_tiny", "vit"])
def test_weights_fit_each_family_whatever_its_last_layer_is_called(small: Small, name: str, tmp_path: Path) -> None:
    recipe = small(f"comparison_{name}")
    torch.manual_seed(1)
    source = build_classifier(recipe.architecture, 7, **recipe.architecture_args)
    save_file(source.state_dict(), tmp_path / "init.safetensors")
    network = build_country_network(recipe, 2)
    init_backbone(network, recipe, tmp_path / "init.safetensors")
    assert head_of(network).weight.shape[0] == 2
    theirs = source.state_dict()
    alike = [
        key for key, tensor in network.state_dict().items() if torch.equal(tensor, theirs.get(key, torch.empty(0)))
    ]
    assert len(network.state_dict()) - len(alike) == 2  # the weights and the biases of the head


def test_weights_of_another_size_are_refused(small: Small, tmp_path: Path) -> None:
    recipe = small("comparison_vit")
    other = {**recipe.architecture_args, "embed_dim": 16}
    save_file(build_classifier(recipe.architecture, 7, **other).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(RecipeError, match="size mismatch"):
        init_backbone(build_country_network(recipe, 2), recipe, tmp_path / "other.safetensors")


def test_a_recipe_may_require_a_file_of_weights() -> None:
    recipe = read_recipe("imbalance_resnet50_v1")
    with pytest.raises(RecipeError, match="--weights"):
        init_backbone(build_classifier("test_resnet", 2), recipe, None)


@pytest.mark.parametrize("reason", [OSError("no route"), RuntimeError("No pretrained weights exist")])
def test_weights_that_cannot_be_downloaded_are_an_error(reason: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise reason

    monkeypatch.setattr("timm.create_model", refuse)
    with pytest.raises(RecipeError, match=r"cannot be loaded \((no route|No pretrained)"):
        init_backbone(torch.nn.Identity(), read_recipe("comparison_resnet50"), None)


def test_weights_come_from_the_hub_with_the_arguments_of_the_recipe(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small("comparison_vit", ["starting_weights=hub"])
    hub = build_classifier(recipe.architecture, 0, **recipe.architecture_args)
    arguments: dict[str, object] = {}

    def fetch(architecture: str, **args: object) -> torch.nn.Module:
        arguments.update(args, architecture=architecture)
        return hub

    network = build_country_network(recipe, 2)
    monkeypatch.setattr("timm.create_model", fetch)
    init_backbone(network, recipe, None)
    assert arguments == {
        "architecture": "vit_base_patch16_224", "pretrained": True, "num_classes": 0, **recipe.architecture_args
    }  # fmt: skip
    torch.testing.assert_close(network.get_parameter("pos_embed"), hub.get_parameter("pos_embed"))
