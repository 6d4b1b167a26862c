"""Export of a country run and a position run on its backbone as one model."""

from __future__ import annotations

import copy

import torch
from torch import nn

from triovision.errors import RecipeError
from triovision.geo.city_metadata import CITY_METADATA
from triovision.inference.card import Position
from triovision.metrics.position import PositionMetrics
from triovision.networks import LocatingClassifier, ResNetGPS, head_of
from triovision.train.engine.run_folder import CountryRun, PositionRun
from triovision.train.export.card import Exportable

_REMEDY = "Train it with --weights <run of the classifier>/finished.safetensors"


def with_positions(run: CountryRun, gps: PositionRun, metrics: PositionMetrics) -> Exportable:
    """Combine a country classifier and a position regressor with the same frozen backbone.

    Args:
        run: Run of the classifier.
        gps: Run of the regressor.
        metrics: Metrics of the regressor, with the fitted scale.

    Raises:
        RecipeError: If the photos, the preprocessing or the backbones differ.
    """
    recipe = gps.recipe
    if gps.manifest_sha256 != run.manifest_sha256:
        raise RecipeError(str(gps.folder), f"was trained on another manifest than {run.folder}", _REMEDY)
    if set(recipe.data.validation_splits) != set(run.recipe.data.validation_splits):
        raise RecipeError(
            str(gps.folder), f"has other held-out photos than {run.folder}", f"{_REMEDY} and the same splits"
        )
    if recipe.preprocessing != run.recipe.preprocessing:
        raise RecipeError(
            str(gps.folder), f"has another preprocessing than {run.folder}", f"{_REMEDY} and the same preprocessing"
        )
    if not _same_backbone(run.network, gps.network):
        remedy = f"{_REMEDY} and `trains` set to nothing"
        raise RecipeError(str(gps.folder), f"has another backbone than {run.folder}", remedy)
    network = LocatingClassifier(copy.deepcopy(gps.network), len(run.labels))
    network.countries.load_state_dict(head_of(run.network).state_dict())
    changes = {
        "engine": "resnetgps",
        "architecture": f"resnetgps_{recipe.version}",
        "architecture_args": {},
        "position": _position(gps, metrics.scale_km),
    }
    recipes = {"position": recipe.model_dump(mode="json")}
    return Exportable(run, network.eval().requires_grad_(False), changes, recipes, metrics)


def _position(gps: PositionRun, scale_km: float) -> Position:
    recipe = gps.recipe
    mixture = recipe.loss.name == "von_mises_fisher_mixture"
    lat_mean, lon_mean = gps.target_scaling.mean.tolist()
    lat_scale, lon_scale = gps.target_scaling.scale.tolist()
    return Position(
        backbone=recipe.architecture,
        city_features=CITY_METADATA,
        city_mean=tuple(gps.city_scaling.mean.tolist()),
        city_scale=tuple(gps.city_scaling.scale.tolist()),
        outputs="von_mises_fisher_mixture" if mixture else "standardised_degrees",
        components=recipe.loss.components if mixture else 1,
        position_mean=(lat_mean, lon_mean),
        position_scale=(lat_scale, lon_scale),
        scale_km=scale_km,
        asked_countries=recipe.candidates.countries,
        cities_per_country=recipe.candidates.per_country,
    )


def _same_backbone(classifier: nn.Module, regressor: ResNetGPS) -> bool:
    weights = classifier.state_dict()
    return all(
        name in weights and torch.equal(value, weights[name]) for name, value in regressor.resnet.state_dict().items()
    )
