"""What a network starts from: a file, timm's own weights, another run, and a linear probe for its last layer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from triovision.errors import RecipeError
from triovision.networks import head_of
from triovision.train.data.run_splits import Splits
from triovision.train.engine.run_folder import Run
from triovision.train.models.linear_probe import fit_last_layer
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import RunRecipe

log = logging.getLogger(__name__)


def start(network: nn.Module, recipe: Recipe, splits: Splits, source: Path | Run | None, workers: int) -> None:
    """Fill a network with the weights that a run of the recipe starts from.

    Args:
        network: The recipe's network.
        recipe: Says what it starts from.
        splits: Photos of the run.
        source: A file of weights, a run to go on from, or None.
        workers: Processes that decode photos.

    Raises:
        RecipeError: If the weights cannot be had, cannot be read or do not fit.
    """
    if isinstance(source, Run):
        finetune_from(source, network, splits.labels)
    else:
        start_from(network, recipe, source)
    if recipe.last_layer.at_start:
        fit_last_layer(network, splits.training, splits.labels, recipe, workers)


def start_from(network: nn.Module, recipe: RunRecipe, weights: Path | None) -> None:
    """Fill the backbone with starting weights: a file's if one is given, else as the recipe says.

    The weights' own last layer, whatever its number of labels, is left out.

    Raises:
        RecipeError: If the weights cannot be had, cannot be read or do not fit the architecture.
    """
    if weights is None and recipe.starting_weights == "none":
        return
    state = _from_hub(recipe) if weights is None else _from_file(weights)
    head = _head_name(network)
    backbone = {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] != head}
    missing, unexpected = _misfits(network, backbone)
    wrong = sorted({name for name in missing if name.rpartition(".")[0] != head} | set(unexpected))
    if wrong:
        raise RecipeError(
            str(weights or recipe.architecture),
            f"does not fit {recipe.architecture} ({', '.join(wrong[:3])} …)",
            "Give weights of the recipe's architecture, with its `architecture_args`",
        )


def _from_hub(recipe: RunRecipe) -> dict[str, torch.Tensor]:
    remedy = "Give a file with --weights, or set `starting_weights` to none"
    if recipe.starting_weights == "file":
        raise RecipeError(recipe.name, "starts from a file of weights, and none is given", remedy)
    try:
        network = timm.create_model(recipe.architecture, pretrained=True, num_classes=0, **recipe.timm_arguments())
    except (OSError, RuntimeError, ValueError) as exc:  # no network, no such weights
        words = f"timm's weights of {recipe.architecture} cannot be had ({exc})"
        raise RecipeError(recipe.name, words, remedy) from exc
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


def _from_file(weights: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(weights)
    except (OSError, SafetensorError) as exc:
        raise RecipeError(str(weights), f"is no safetensors file that can be read ({exc})", "Check --weights") from exc


def finetune_from(run: Run, network: nn.Module, labels: Sequence[str]) -> None:
    """Start a network from another run's weights; a country that the run had no label for starts at random.

    Args:
        run: The run to go on from.
        network: Network to fill, of the same architecture.
        labels: Its labels.

    Raises:
        RecipeError: If the architectures differ, or no label is the same.
    """
    unknown = sorted(set(labels) - set(run.labels))
    if len(unknown) == len(labels):
        remedy = "Go on from a run that shares a country, or give its weights with --weights"
        raise RecipeError(str(run.folder), "knows not one country of this run", remedy)
    if unknown:
        log.warning("%s does not know %s: their part of the last layer starts at random", run.folder, unknown)
    head, old_head, name = head_of(network), head_of(run.network), _head_name(network)
    backbone = {k: v for k, v in run.network.state_dict().items() if k.rpartition(".")[0] != name}
    missing, unexpected = _misfits(network, backbone)
    if {parameter.rpartition(".")[0] for parameter in missing} != {name} or unexpected:
        remedy = "Go on from a run of the recipe's architecture"
        raise RecipeError(str(run.folder), f"is a run of {run.recipe.architecture}", remedy)
    with torch.no_grad():
        for row, label in enumerate(labels):
            if label in run.labels:
                old_row = run.labels.index(label)
                for parameter, old in zip(head.parameters(), old_head.parameters(), strict=True):
                    parameter[row] = old[old_row]


def _head_name(network: nn.Module) -> str:
    """Dotted name of the last layer; families name it differently."""
    head = head_of(network)
    names: list[str] = [name for name, module in network.named_modules() if module is head]
    return names[0]


def _misfits(network: nn.Module, state: dict[str, torch.Tensor]) -> tuple[list[str], list[str]]:
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as exc:  # the same names with other shapes
        return [], [line.strip() for line in str(exc).splitlines()[1:]]
    return missing, unexpected
