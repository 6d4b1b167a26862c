"""The network of a recipe, and where it is cut in two: what is passed once a photo, and what trains."""

from __future__ import annotations

from typing import Any, cast

from torch import nn

from triovision.errors import RecipeError
from triovision.inference.standardisation import Standardisation
from triovision.networks.resnetgps import ResNetGPS, build_resnetgps
from triovision.train.losses.position import PositionLoss, position_loss
from triovision.train.recipes.position_recipe import GpsRecipe

#: The parts of a ResNet of timm that are passed before its last stage.
_BEFORE_LAYER4 = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3")


def recipe_network(recipe: GpsRecipe, n_city_features: int, n_outputs: int) -> ResNetGPS:
    """The recipe's network with random weights.

    Raises:
        RecipeError: If it cannot be built.
    """
    try:
        return build_resnetgps(
            recipe.version, n_city_features, recipe.architecture, n_outputs=n_outputs, **recipe.dropouts.model_dump()
        )
    except (TypeError, ValueError) as exc:
        words = f"{recipe.version} with `architecture` {recipe.architecture} cannot be built ({exc})"
        raise RecipeError(recipe.name, words, "Give a ResNet of timm, or resnet50_v1") from exc


def recipe_loss(recipe: GpsRecipe, target_scaling: Standardisation) -> PositionLoss:
    """The recipe's loss, which also says what the network's outputs mean in degrees.

    Args:
        recipe: Names the loss.
        target_scaling: Of latitude and longitude.
    """
    mean, scale = target_scaling.mean.tolist(), target_scaling.scale.tolist()
    return position_loss(recipe.loss.name, mean, scale, recipe.loss.components)


def cut_frozen_part(network: ResNetGPS, recipe: GpsRecipe) -> nn.Module:
    """Take out of a network what the recipe does not train; it then takes the output of that part for the photos.

    The network is changed in place, and its state is that of what is left.

    Returns:
        The frozen part, in evaluation mode, without gradients: from `batch_nchw` to a grid `(n, c, h, w)`, of one
        cell where the whole backbone is frozen.
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
