"""Run folders: config, checkpoints and finished weights of country and position runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from triovision.errors import RecipeError, faults
from triovision.files import atomic_write
from triovision.geo.city_metadata import CITY_METADATA, metadata_differences
from triovision.inference.standardisation import Standardisation, read_standardisation
from triovision.networks.resnetgps import ResNetGPS
from triovision.train.data.manifest import Manifest
from triovision.train.data.positions import PositionData
from triovision.train.losses.position import PositionLoss
from triovision.train.models.build import build_country_network, build_position_loss, build_position_network
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.position_recipe import PositionRecipe
from triovision.train.recipes.sections import COUNTRY

#: Files of a run: its config, its initial weights and its finished weights.
RUN_CONFIG, INIT, FINISHED = "run.json", "init.safetensors", "finished.safetensors"
CHECKPOINTS = "checkpoints"

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class CountryRun:
    """A finished run of a country recipe.

    Attributes:
        folder: Folder of the run.
        recipe: Its recipe.
        labels: Countries, or other labels, in the order of the logits.
        manifest_sha256: Hash of the manifest.
        network: The network in evaluation mode.
    """

    folder: Path
    recipe: Recipe
    labels: tuple[str, ...]
    manifest_sha256: str
    network: nn.Module


@dataclass(frozen=True, slots=True)
class PositionRun:
    """A finished run of a position recipe.

    Attributes:
        folder: Folder of the run.
        recipe: Its recipe.
        manifest_sha256: Hash of the manifest.
        network: The whole network in evaluation mode, backbone included.
        criterion: The loss, which also decodes the network's outputs.
        city_scaling: Scaling of the city metadata.
        target_scaling: Scaling of latitude and longitude.
    """

    folder: Path
    recipe: PositionRecipe
    manifest_sha256: str
    network: ResNetGPS
    criterion: PositionLoss
    city_scaling: Standardisation
    target_scaling: Standardisation


def country_config(recipe: Recipe, manifest: Manifest, labels: Sequence[str]) -> dict[str, Any]:
    """Config of a country run: everything that its result depends on, as JSON values."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "manifest_sha256": manifest.sha256,
        "labels": list(labels),
    }


def position_config(recipe: PositionRecipe, task: PositionData, backbone_sha256: str) -> dict[str, Any]:
    """Config of a position run: everything that its result depends on, as JSON values."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "manifest_sha256": task.photos.manifest.sha256,
        "backbone_sha256": backbone_sha256,
        "city_features": list(CITY_METADATA),
        "city": task.city_scaling.to_dict(),
        "position": task.target_scaling.to_dict(),
    }


def write_run_config(folder: Path, config: dict[str, Any]) -> None:
    """Write the config of a run, or check that the folder has the same config.

    Args:
        folder: Folder of the run; created if missing.
        config: JSON values.

    Raises:
        RecipeError: If the folder has another config.
    """
    path = folder / RUN_CONFIG
    if not path.exists():
        atomic_write(path, json.dumps(config, indent=2) + "\n")
        return
    existing = json.loads(path.read_text(encoding="utf-8"))
    if existing == config:
        return
    unknown = sorted(set(config.get("labels", ())) - set(existing.get("labels", ())))
    differ = " and ".join(
        name for name in sorted(existing.keys() | config.keys()) if existing.get(name) != config.get(name)
    )
    also = f"; its model does not know {', '.join(unknown)}" if unknown else ""
    reason = f"holds a run of another recipe or manifest ({differ} differ{also})"
    raise RecipeError(str(folder), reason, "Give another --out folder")


def resume_checkpoint(folder: Path) -> Path | None:
    """Checkpoint to resume a run from: the last one within an epoch, else that of the last epoch's end."""
    checkpoints = folder / CHECKPOINTS
    return next((path for name in ("resume", "last") if (path := checkpoints / f"{name}.ckpt").exists()), None)


def write_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors."""
    atomic_write(path, save({name: value.contiguous() for name, value in network.state_dict().items()}))


def read_country_run(folder: Path) -> CountryRun:
    """Read the recipe, labels and finished weights of a country run.

    Raises:
        RecipeError: If the folder holds no finished country run.
    """
    recipe, config, state = read_run(folder, Recipe, ("labels",), "run")
    labels = tuple(config["labels"])
    network = build_country_network(recipe, len(labels))
    load_finished(network, state, folder)
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return CountryRun(folder, recipe, labels, config["manifest_sha256"], network)


def check_countries(run: CountryRun) -> None:
    """Check that a run classifies countries, as the models of the page do.

    Raises:
        RecipeError: If it classifies another label.
    """
    if run.recipe.label_column != COUNTRY:
        reason = f"classifies `{run.recipe.label_column}`, and models of the page answer with a country"
        raise RecipeError(str(run.folder), reason, "Give a run of countries; read this one with `read_country_run`")


def read_position_run(folder: Path) -> PositionRun:
    """Read the recipe, scalings and finished weights of a position run.

    Raises:
        RecipeError: If the folder holds no finished position run, or one with other city metadata.
    """
    kind = "run of ResNetGPS"
    recipe, config, state = read_run(folder, PositionRecipe, ("city_features", "city", "position"), kind)
    if differences := metadata_differences(config["city_features"]):
        remedy = "Train it again, or use the version of TrioVision that trained it"
        raise RecipeError(str(folder), f"was trained with other city metadata: {differences}", remedy)
    try:
        city, position = read_standardisation(config["city"]), read_standardisation(config["position"])
    except (ValueError, KeyError, TypeError) as exc:
        raise _unfinished(folder, kind, exc) from exc
    criterion = build_position_loss(recipe, position)
    network = build_position_network(recipe, len(CITY_METADATA), criterion.n_outputs)
    load_finished(network, state, folder)
    network.eval().requires_grad_(False)
    return PositionRun(folder, recipe, config["manifest_sha256"], network, criterion, city, position)


def read_run(
    folder: Path, recipe: type[R], fields: tuple[str, ...], kind: str
) -> tuple[R, dict[str, Any], dict[str, Tensor]]:
    """Read the recipe, the config and the finished weights of a run.

    Args:
        folder: Folder of the run.
        recipe: Class of its recipe.
        fields: Fields that its config must have beside `recipe` and `manifest_sha256`.
        kind: What the folder should hold, for the message.

    Raises:
        RecipeError: If one of them is missing or damaged.
    """
    try:
        config = json.loads((folder / RUN_CONFIG).read_text(encoding="utf-8"))
        checked = recipe.model_validate(config["recipe"])
        for field in ("manifest_sha256", *fields):
            config[field]
        return checked, config, load_file(folder / FINISHED)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        raise _unfinished(folder, kind, exc) from exc


def _unfinished(folder: Path, kind: str, exc: Exception) -> RecipeError:
    remedy = "Give the --out folder of a run; one that was stopped is finished by its own command"
    reason = faults(exc) if isinstance(exc, ValidationError) else exc
    return RecipeError(str(folder), f"holds no finished {kind} ({reason})", remedy)


def load_finished(network: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    """Load the finished weights of a run into a network.

    Raises:
        RecipeError: If they do not fit.
    """
    try:
        network.load_state_dict(state)
    except RuntimeError as exc:
        detail = " ".join(str(exc).splitlines()[1:2]).strip()
        reason = f"does not fit the run's recipe ({detail})"
        raise RecipeError(str(folder / FINISHED), reason, "Train it again") from exc
