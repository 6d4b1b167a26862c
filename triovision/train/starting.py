"""What a network starts from: a file, timm's own weights, another run, and a linear probe for its last layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from triovision.errors import RecipeError
from triovision.networks import head_of
from triovision.train.checkpoint import Run
from triovision.train.recipe import Recipe


def start_from(network: nn.Module, recipe: Recipe, weights: Path | None) -> None:
    """Fill the backbone with starting weights: a file's, timm's own, or leave it random.

    Raises:
        RecipeError: If the file cannot be read or does not fit the architecture.
    """
    if weights is None and not recipe.pretrained:
        return
    if weights is None:
        import timm  # noqa: PLC0415 - only this branch asks the public hub

        state = timm.create_model(recipe.architecture, pretrained=True, num_classes=0).state_dict()
    else:
        try:
            state = load_file(weights)
        except (OSError, SafetensorError) as exc:
            raise RecipeError(
                str(weights), f"is no safetensors file that can be read ({exc})", "Check --weights"
            ) from exc
    head = {f"{name}.{part}" for name in ("classifier", "fc", "head.fc") for part in ("weight", "bias")}
    missing, unexpected = network.load_state_dict({k: v for k, v in state.items() if k not in head}, strict=False)
    if set(missing) - head or unexpected:
        wrong = sorted((set(missing) - head) | set(unexpected))[:3]
        remedy = "Give weights of the recipe's architecture"
        raise RecipeError(str(weights), f"does not fit {recipe.architecture} ({', '.join(wrong)} …)", remedy)


def go_on_from(run: Run, network: nn.Module, labels: Sequence[str]) -> None:
    """Start a network from another run's weights; a country that the run had no label for starts at random.

    Args:
        run: The run to go on from.
        network: Network to fill, of the same architecture.
        labels: Its labels.

    Raises:
        RecipeError: If the architectures differ.
    """
    head, old_head = head_of(network), head_of(run.network)
    names = dict.fromkeys(name for name, module in network.named_modules() if module is head)
    backbone = {k: v for k, v in run.network.state_dict().items() if k.rpartition(".")[0] not in names}
    missing, unexpected = _misfits(network, backbone)
    if {name.rpartition(".")[0] for name in missing} != set(names) or unexpected:
        remedy = "Go on from a run of the recipe's architecture"
        raise RecipeError(str(run.folder), f"is a run of {run.recipe.architecture}", remedy)
    with torch.no_grad():
        for row, label in enumerate(labels):
            if label in run.labels:
                old_row = run.labels.index(label)
                for parameter, old in zip(head.parameters(), old_head.parameters(), strict=True):
                    parameter[row] = old[old_row]


def _misfits(network: nn.Module, state: dict[str, torch.Tensor]) -> tuple[list[str], list[str]]:
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as exc:  # the same names with other shapes
        return [], [str(exc)]
    return missing, unexpected
