"""Initial weights of a network: a file, timm's hub, or another classifier."""

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
from triovision.train.recipes.sections import RunRecipe

log = logging.getLogger(__name__)


def init_backbone(network: nn.Module, recipe: RunRecipe, weights: Path | None) -> None:
    """Load initial weights into a backbone: from a file if one is given, else as the recipe states.

    The last layer of the weights is left out, whatever its number of labels.

    Raises:
        RecipeError: If the weights are missing, cannot be read or do not fit the architecture.
    """
    if weights is None and recipe.starting_weights == "none":
        return
    state = _from_hub(recipe) if weights is None else _from_file(weights)
    head = _head_name(network)
    backbone = {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] != head}
    missing, unexpected = _load(network, backbone)
    wrong = sorted({name for name in missing if name.rpartition(".")[0] != head} | set(unexpected))
    if wrong:
        raise RecipeError(
            str(weights or recipe.architecture),
            f"does not fit {recipe.architecture} ({', '.join(wrong[:3])} …)",
            "Give weights of the recipe's architecture, with its `architecture_args`",
        )


def init_from_classifier(
    network: nn.Module, labels: Sequence[str], source: nn.Module, source_labels: Sequence[str], name: str
) -> None:
    """Copy another country classifier, last layer included; a label that it lacks keeps its random initial weights.

    Args:
        network: Network to fill, of the same architecture.
        labels: Its labels.
        source: Network to copy.
        source_labels: Labels of that network.
        name: Name of the source, for messages.

    Raises:
        RecipeError: If the architectures differ, or no label is the same.
    """
    unknown = sorted(set(labels) - set(source_labels))
    if len(unknown) == len(labels):
        remedy = "Fine-tune a run that shares a label, or give its weights with --weights"
        raise RecipeError(name, "shares no label with this run", remedy)
    if unknown:
        log.warning("%s has no label for %s: their part of the last layer has random initial weights", name, unknown)
    head, source_head, head_name = head_of(network), head_of(source), _head_name(network)
    backbone = {k: v for k, v in source.state_dict().items() if k.rpartition(".")[0] != head_name}
    missing, unexpected = _load(network, backbone)
    if {parameter.rpartition(".")[0] for parameter in missing} != {head_name} or unexpected:
        raise RecipeError(name, "is a run of another architecture", "Fine-tune a run of the recipe's architecture")
    with torch.no_grad():
        for row, label in enumerate(labels):
            if label in source_labels:
                source_row = source_labels.index(label)
                for parameter, old in zip(head.parameters(), source_head.parameters(), strict=True):
                    parameter[row] = old[source_row]


def _from_hub(recipe: RunRecipe) -> dict[str, torch.Tensor]:
    remedy = "Give a file with --weights, or set `starting_weights` to none"
    if recipe.starting_weights == "file":
        raise RecipeError(recipe.name, "needs a file of initial weights", remedy)
    try:
        network = timm.create_model(recipe.architecture, pretrained=True, num_classes=0, **recipe.timm_arguments())
    except (OSError, RuntimeError, ValueError) as exc:
        reason = f"timm's weights of {recipe.architecture} cannot be loaded ({exc})"
        raise RecipeError(recipe.name, reason, remedy) from exc
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


def _from_file(weights: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(weights)
    except (OSError, SafetensorError) as exc:
        raise RecipeError(str(weights), f"is not a readable safetensors file ({exc})", "Check --weights") from exc


def _head_name(network: nn.Module) -> str:
    """Dotted name of the last layer, which timm's families name differently.

    Raises:
        RecipeError: If the network does not tell it.
    """
    if not hasattr(network, "get_classifier"):
        remedy = "Add the method as timm's networks have it, or set `starting_weights` to none"
        raise RecipeError(type(network).__name__, "lacks the method get_classifier, which tells its last layer", remedy)
    head = head_of(network)
    names: list[str] = [name for name, module in network.named_modules() if module is head]
    return names[0]


def _load(network: nn.Module, state: dict[str, torch.Tensor]) -> tuple[list[str], list[str]]:
    """Load a state and return the names of missing and of unexpected or misshapen parameters."""
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as exc:  # the same names with other shapes
        return [], [line.strip() for line in str(exc).splitlines()[1:]]
    return missing, unexpected
