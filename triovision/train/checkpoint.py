"""A finished run, read back from its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from triovision.errors import RecipeError
from triovision.networks import build_classifier, head_of
from triovision.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its recipe, its labels and its best network (the moving average), in evaluation mode."""

    folder: Path
    recipe: Recipe
    labels: tuple[str, ...]
    manifest_sha256: str
    network: nn.Module


def read_run(folder: Path) -> Run:
    """Read a run's recipe and the best of its checkpoints.

    Raises:
        RecipeError: If the folder holds no finished epoch.
    """
    remedy = "Give the --out folder of a run that has finished an epoch"
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")
    except (OSError, ValueError) as exc:
        raise RecipeError(str(folder), f"holds no run with a checkpoint ({exc})", remedy) from exc
    recipe, labels = Recipe.model_validate(facts["recipe"]), tuple(facts["labels"])
    best = next(s["best_model_path"] for name, s in last["callbacks"].items() if name.startswith("ModelCheckpoint"))
    # The path was written by the machine that trained; the folder may have moved since.
    state = torch.load(folder / "checkpoints" / Path(best).name, weights_only=True, map_location="cpu")["state_dict"]
    network = build_classifier(recipe.architecture, len(labels))
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Run(folder, recipe, labels, facts["manifest_sha256"], network)


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
