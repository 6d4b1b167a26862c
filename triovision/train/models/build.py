"""Networks of country and position recipes, and their frozen parts."""

from __future__ import annotations

from typing import Any, cast

from timm.models import group_parameters
from torch import nn

from triovision.errors import RecipeError
from triovision.inference.standardisation import Standardisation
from triovision.networks import build_registered_classifier
from triovision.networks.resnetgps import ResNetGPS, build_resnetgps
from triovision.train.losses.position import PositionLoss, position_loss
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.position_recipe import PositionRecipe


def build_country_network(recipe: Recipe, n_labels: int) -> nn.Module:
    """Build the country classifier of a recipe with random weights; 0 labels leave the last layer out.

    Raises:
        RecipeError: If timm cannot build it, it lacks what an option of the recipe needs, or it only takes images of
            another size.
    """
    args = {"drop_rate": recipe.drop_rate} | recipe.architecture_args
    try:
        network = build_registered_classifier(recipe.architecture, n_labels, **args)
    except (TypeError, ValueError, AssertionError, KeyError) as exc:  # timm raises all four
        reason = f"`architecture` {recipe.architecture} cannot be built ({exc})"
        raise RecipeError(recipe.name, reason, "Correct `architecture` or `architecture_args`") from exc
    _check_methods(network, recipe)
    patches = getattr(network, "patch_embed", None)
    if getattr(patches, "strict_img_size", False):
        side = cast(Any, patches).img_size[0]
        sizes = {
            "preprocessing.input_size": recipe.preprocessing.input_size,
            "augmentation.train_size": recipe.augmentation.train_size,
        }
        for field, size in sizes.items():
            if size != side:
                reason = f"`{field}` is {size}, but {recipe.architecture} only takes {side}"
                remedy = f"Set `{field}` to {side}, or `architecture_args.img_size` to {size}"
                raise RecipeError(recipe.name, reason, remedy)
    return network


def _check_methods(network: nn.Module, recipe: Recipe) -> None:
    """Raise RecipeError where an option needs a method of timm's networks that an own network lacks."""
    head, last = ("get_classifier", "forward_features", "forward_head"), recipe.last_layer
    needs: tuple[tuple[str, bool, tuple[str, ...]], ...] = (
        ("freeze_blocks", recipe.freeze_blocks > 0, ("group_matcher",)),
        ("optimisation.layer_decay", recipe.optimisation.layer_decay < 1, ("group_matcher",)),
        ("last_layer", last.at_start or last.at_end, head),
    )
    for option, used, methods in needs:
        missing = [method for method in methods if used and not hasattr(network, method)]
        if missing:
            reason = f"`{option}` needs the method(s) {', '.join(missing)}, which {recipe.architecture} lacks"
            raise RecipeError(recipe.name, reason, f"Add them as timm's networks have them, or leave `{option}` out")


def freeze_blocks(network: nn.Module, recipe: Recipe) -> None:
    """Freeze the stem and the first `freeze_blocks` stages, which timm defines for each family.

    Raises:
        RecipeError: If the network has fewer stages.
    """
    if not recipe.freeze_blocks:
        return
    groups = group_parameters(network, cast(Any, network).group_matcher(coarse=True))
    stages = max(groups) - 1  # the first group is the stem, the last one the head
    if recipe.freeze_blocks > stages:
        reason = f"`freeze_blocks` is {recipe.freeze_blocks}, but {recipe.architecture} has {stages} blocks"
        raise RecipeError(recipe.name, reason, f"Freeze at most {stages}")
    frozen = {name for group in range(recipe.freeze_blocks + 1) for name in groups[group]}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)


def eval_frozen(network: nn.Module) -> None:
    """Put frozen layers into evaluation mode, without dropout and with their statistics fixed."""
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


#: Layers of a timm ResNet before its last stage.
_BEFORE_LAYER4 = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3")


def build_position_network(recipe: PositionRecipe, n_city_features: int, n_outputs: int) -> ResNetGPS:
    """Build the position regressor of a recipe with random weights.

    Raises:
        RecipeError: If the version or the backbone cannot be built.
    """
    try:
        return build_resnetgps(
            recipe.version, n_city_features, recipe.architecture, n_outputs=n_outputs, **recipe.dropouts.model_dump()
        )
    except (TypeError, ValueError) as exc:
        reason = f"{recipe.version} with `architecture` {recipe.architecture} cannot be built ({exc})"
        raise RecipeError(recipe.name, reason, "Give a ResNet of timm, or resnet50_v1") from exc


def build_position_loss(recipe: PositionRecipe, target_scaling: Standardisation) -> PositionLoss:
    """Build the loss of a recipe, which also decodes the network's outputs into degrees.

    Args:
        recipe: Position recipe.
        target_scaling: Mean and standard deviation of latitude and longitude over the training photos.

    Raises:
        RecipeError: If no loss has the recipe's name of it.
    """
    mean, scale = target_scaling.mean.tolist(), target_scaling.scale.tolist()
    return position_loss(recipe.loss.name, mean, scale, recipe.loss.components)


def split_frozen_backbone(network: ResNetGPS, recipe: PositionRecipe) -> nn.Module:
    """Remove from a network the layers of its backbone that the recipe does not train.

    The network is changed in place: it then takes the features of the removed part instead of images, and its state
    dict holds the remaining layers only.

    Returns:
        The removed part in evaluation mode and without gradients. It maps `batch_nchw` to feature maps
        `(n, c, h, w)`, of size 1 x 1 where the whole backbone is frozen.
    """
    resnet = cast(Any, network.resnet)
    if recipe.trains == "nothing":
        frozen = nn.Sequential(resnet, nn.Unflatten(1, (-1, 1, 1)))
        network.resnet = nn.Flatten()
    else:
        frozen = nn.Sequential(*(getattr(resnet, name) for name in _BEFORE_LAYER4))
        for name in _BEFORE_LAYER4:
            setattr(resnet, name, nn.Identity())
    return frozen.eval().requires_grad_(False)
