"""A finished run of ResNetGPS, written to its folder and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from triovision.errors import RecipeError
from triovision.geo.city_metadata import CITY_METADATA, metadata_differences
from triovision.inference.standardisation import Standardisation, read_standardisation
from triovision.networks.resnetgps import ResNetGPS
from triovision.train.data.task import Task
from triovision.train.engine.run_folder import FINISHED, RUN_CONFIG, write_weights
from triovision.train.losses.position import PositionLoss
from triovision.train.models.position_network import recipe_loss, recipe_network
from triovision.train.recipes.position_recipe import GpsRecipe


@dataclass(frozen=True, slots=True)
class GpsRun:
    """A finished run: its recipe, its network in evaluation mode, and what its numbers are measured in.

    Attributes:
        folder: Folder of the run.
        recipe: What was trained and how.
        manifest_sha256: Hash of the table of photos.
        network: The whole network.
        criterion: Knows what its outputs mean.
        city_scaling: Of the metadata that it takes.
        target_scaling: Of latitude and longitude.
    """

    folder: Path
    recipe: GpsRecipe
    manifest_sha256: str
    network: ResNetGPS
    criterion: PositionLoss
    city_scaling: Standardisation
    target_scaling: Standardisation


def run_config(recipe: GpsRecipe, task: Task, backbone_sha256: str) -> dict[str, Any]:
    """What a run depends on, as JSON has it."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "manifest_sha256": task.photos.manifest.sha256,
        "backbone_sha256": backbone_sha256,
        "city_features": list(CITY_METADATA),
        "city": task.city_scaling.facts(),
        "position": task.target_scaling.facts(),
    }


def write_finished(best: Path, folder: Path, whole: ResNetGPS) -> None:
    """Put the weights of the best epoch into the whole network and write it.

    Args:
        best: Lightning's checkpoint of that epoch, of what was left when the frozen part had been taken out.
        folder: Folder of the run.
        whole: The network with its starting weights; it is filled.
    """
    state = torch.load(best, weights_only=True, map_location="cpu")["state_dict"]
    trained = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    whole.load_state_dict(whole.state_dict() | trained)
    write_weights(whole, folder / FINISHED)


def read_gps_run(folder: Path) -> GpsRun:
    """Read a run's recipe and the weights that it came to.

    Raises:
        RecipeError: If the folder holds no finished run of ResNetGPS, or one with other city metadata.
    """
    try:
        facts = json.loads((folder / RUN_CONFIG).read_text(encoding="utf-8"))
        state = load_file(folder / FINISHED)
        recipe = GpsRecipe.model_validate(facts["recipe"])
        differences = metadata_differences(facts["city_features"])
        city, position = read_standardisation(facts["city"]), read_standardisation(facts["position"])
        manifest_sha256 = facts["manifest_sha256"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        remedy = "Give the --out folder of `triovision train gps run`; one that was stopped is finished by that command"
        raise RecipeError(str(folder), f"holds no finished run of ResNetGPS ({exc})", remedy) from exc
    if differences:
        remedy = "Train it again, or use the version of TrioVision that trained it"
        raise RecipeError(str(folder), f"was trained with other city metadata: {differences}", remedy)
    criterion = recipe_loss(recipe, position)
    network = recipe_network(recipe, len(CITY_METADATA), criterion.n_outputs)
    try:
        network.load_state_dict(state)
    except RuntimeError as exc:
        words = " ".join(str(exc).splitlines()[1:2]).strip()
        raise RecipeError(str(folder / FINISHED), f"does not fit the run's recipe ({words})", "Train it again") from exc
    network.eval().requires_grad_(False)
    return GpsRun(folder, recipe, manifest_sha256, network, criterion, city, position)
