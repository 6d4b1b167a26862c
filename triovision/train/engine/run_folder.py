"""A finished run, read back from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.train.models.build import recipe_network
from triovision.train.recipes.country_recipe import Recipe

#: What a run depends on, the weights that it started from, and those that it came to.
RUN_CONFIG, START, FINISHED = "run.json", "start.safetensors", "finished.safetensors"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its recipe, its labels and its network, in evaluation mode."""

    folder: Path
    recipe: Recipe
    labels: tuple[str, ...]
    manifest_sha256: str
    network: nn.Module


def read_run(folder: Path) -> Run:
    """Read a run's recipe and the weights that it came to.

    Raises:
        RecipeError: If the folder holds no finished run.
    """
    try:
        facts = json.loads((folder / RUN_CONFIG).read_text(encoding="utf-8"))
        state = load_file(folder / FINISHED)
    except (OSError, ValueError, SafetensorError) as exc:
        remedy = "Give the --out folder of a run; one that was stopped is finished by its own command"
        raise RecipeError(str(folder), f"holds no finished run ({exc})", remedy) from exc
    recipe, labels = Recipe.model_validate(facts["recipe"]), tuple(facts["labels"])
    network = recipe_network(recipe, len(labels))
    network.load_state_dict(state)
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Run(folder, recipe, labels, facts["manifest_sha256"], network)


def write_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights, whole or not at all."""
    atomic_write(path, save({name: value.contiguous() for name, value in network.state_dict().items()}))


def write_run_config(folder: Path, facts: dict[str, Any]) -> None:
    """Write what a run depends on into its folder, or check that it is what the folder was begun with.

    Args:
        folder: Folder of the run; made when missing.
        facts: What the run depends on, as JSON has it.

    Raises:
        RecipeError: If the folder was begun with other facts.
    """
    path = folder / RUN_CONFIG
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, (json.dumps(facts, indent=2) + "\n").encode())
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    if begun == facts:
        return
    unknown = sorted(set(facts.get("labels", ())) - set(begun.get("labels", ())))
    differ = " and ".join(name for name in sorted(begun.keys() | facts.keys()) if begun.get(name) != facts.get(name))
    also = f"; its model does not know {', '.join(unknown)}" if unknown else ""
    reason = f"holds a run of another recipe or manifest ({differ} differ{also})"
    raise RecipeError(str(folder), reason, "Give another --out folder")


def resume_point(checkpoints: Path) -> Path | None:
    """The checkpoint that a run goes on from: the last within an epoch, or else that of the end of one."""
    return next((path for name in ("resume", "last") if (path := checkpoints / f"{name}.ckpt").exists()), None)
