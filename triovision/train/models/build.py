"""The network of a recipe."""

from __future__ import annotations

from typing import Any, cast

from timm.models import group_parameters
from torch import nn

from triovision.errors import RecipeError
from triovision.networks import build_classifier
from triovision.train.recipes.country_recipe import Recipe


def recipe_network(recipe: Recipe, n_labels: int) -> nn.Module:
    """The recipe's network with random weights; 0 labels leave the last layer out.

    Raises:
        RecipeError: If timm cannot build it, or it takes pictures of another size only.
    """
    args = {"drop_rate": recipe.drop_rate} | recipe.architecture_args
    try:
        network = build_classifier(recipe.architecture, n_labels, **args)
    except (TypeError, ValueError, AssertionError) as exc:  # timm checks its arguments in all three ways
        words = f"`architecture` {recipe.architecture} cannot be built ({exc})"
        raise RecipeError(recipe.name, words, "Correct `architecture` or `architecture_args`") from exc
    patches = getattr(network, "patch_embed", None)
    if patches is not None and patches.strict_img_size:
        side = patches.img_size[0]
        for field, size in _sizes(recipe).items():
            if size != side:
                remedy = f"Set `{field}` to {side}, or `architecture_args.img_size` to {size}"
                raise RecipeError(
                    recipe.name, f"`{field}` is {size}, but {recipe.architecture} takes {side} only", remedy
                )
    return network


def _sizes(recipe: Recipe) -> dict[str, int]:
    return {
        "preprocessing.input_size": recipe.preprocessing.input_size,
        "augmentation.train_size": recipe.augmentation.train_size,
    }


def freeze_blocks(network: nn.Module, recipe: Recipe) -> None:
    """Take the stem and the first stages out of training, as timm groups the layers of each family.

    Raises:
        RecipeError: If the network has fewer stages.
    """
    if not recipe.freeze_blocks:
        return
    groups = group_parameters(network, cast(Any, network).group_matcher(coarse=True))
    stages = max(groups) - 1  # the first group is the stem, the last one the head
    if recipe.freeze_blocks > stages:
        words = f"`freeze_blocks` is {recipe.freeze_blocks}, but {recipe.architecture} has {stages} blocks"
        raise RecipeError(recipe.name, words, f"Freeze at most {stages}")
    frozen = {name for group in range(recipe.freeze_blocks + 1) for name in groups[group]}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)


def rest_frozen(network: nn.Module) -> None:
    """Put what is not trained into evaluation mode: its statistics stay, and nothing is dropped out."""
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
