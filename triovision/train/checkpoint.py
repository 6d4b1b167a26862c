"""A finished run, read back from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from triovision.errors import RecipeError
from triovision.networks import build_classifier
from triovision.train.recipe import Recipe

#: Weights that a run started from.
START = "start.safetensors"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its recipe, its labels and its best network, in evaluation mode.

    The network is the moving average of the weights, averaged with the starting weights if the recipe says so.
    """

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
    best = next((s["best_model_path"] for s in last["callbacks"].values() if s.get("monitor") == "val/loss"), None)
    if not best:
        raise RecipeError(str(folder), "names no best checkpoint in last.ckpt", remedy)
    # The path was written by the machine that trained; the folder may have moved since.
    state = torch.load(folder / "checkpoints" / Path(best).name, weights_only=True, map_location="cpu")["state_dict"]
    trained = {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
    network = build_classifier(recipe.architecture, len(labels))
    if share := recipe.optimisation.start_share:
        trained = _averaged(trained, _start(folder), share)
    network.load_state_dict(trained)
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Run(folder, recipe, labels, facts["manifest_sha256"], network)


def _start(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / START)
    except (OSError, SafetensorError) as exc:
        raise RecipeError(str(folder), f"lacks the weights that it started from ({exc})", f"Restore {START}") from exc


def _averaged(trained: dict[str, Tensor], start: dict[str, Tensor], start_share: float) -> dict[str, Tensor]:
    """Mean of two states; counters are the trained one's."""
    return {
        name: torch.lerp(value, start[name], start_share) if value.is_floating_point() else value
        for name, value in trained.items()
    }
