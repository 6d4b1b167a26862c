"""Export of a run: calibration, evaluation, weights and the model card."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save
from torch import nn

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.geo import country_name
from triovision.inference.card import CARD, WEIGHTS, Calibration, ModelCard, Provenance, read_card, sha256
from triovision.inference.registry import open_model
from triovision.metrics.model_studies import TrainingCurves
from triovision.metrics.position import PositionMetrics
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import CountryRun, check_countries, read_country_run
from triovision.train.evaluation.calibration import (
    calibrate_radii,
    fit_calibration,
    fit_half,
    held_out,
    unfitted_metrics,
)
from triovision.train.evaluation.model_studies import country_curves, position_curves, write_studies
from triovision.train.evaluation.predict import ManifestPredictions, evaluate, predict_manifest

#: Training photos of a place that the card lists.
_LISTED_PLACE = 20


class Description(BaseModel):
    """Texts of a model card that are written by people.

    Attributes:
        summary: One sentence.
        data: Description of the photos.
        limits: Limitations of the model.
        licence: Licence of the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str
    data: str
    limits: str
    licence: str


def read_description(path: Path) -> Description:
    """Read the TOML file of `--describe`.

    Raises:
        RecipeError: If it cannot be read or lacks a field.
    """
    try:
        description = Description.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as exc:
        remedy = f"Give a TOML file with {', '.join(Description.model_fields)}"
        raise RecipeError(str(path), f"is not a description of a model ({exc})", remedy) from exc
    # Line breaks of the file are not part of the text.
    return Description(**{name: " ".join(text.split()) for name, text in description.model_dump().items()})


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Arguments of an export.

    Attributes:
        model_id: `<architecture>.<what it was trained on>`.
        calibrate_on: Folder of the run on whose held-out photos calibration is fitted.
        accuracy: Target accuracy of the confident predictions.
        models: Parent of the folder of the model.
        command: The command line, for the card.
    """

    model_id: str
    calibrate_on: Path
    accuracy: float
    models: Path
    command: str


@dataclass(frozen=True, slots=True)
class Exportable:
    """A run and the network that is exported.

    Attributes:
        run: Country run.
        network: Network of the run, or one that extends it.
        changes: Fields of the card that differ from those of the run.
        recipe: Additional fields of the recipe in the card.
        positions: Metrics of the position run; None without one.
    """

    run: CountryRun
    network: nn.Module
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    positions: PositionMetrics | None = None


def country_classifier(run: CountryRun) -> Exportable:
    """Export the network of a run itself."""
    return Exportable(run, run.network)


def export_run(
    run_folder: Path,
    photos: Manifest,
    description: Description,
    request: ExportRequest,
    workers: int,
    build: Callable[[CountryRun], Exportable] = country_classifier,
) -> Path:
    """Calibrate a run, evaluate the exported model and write its folder, training curves included.

    A run without held-out places takes calibration and metrics of new places from another run: calibrated on photos
    of known places, it would be overconfident elsewhere. Metrics are those of the half of the held-out places that
    thresholds were not fitted on. Radii need more places: they are fitted on all, and evaluated by cross-fitting.

    Args:
        run_folder: Run to export.
        photos: Manifest that it was trained on.
        description: Texts of the card.
        request: See `ExportRequest`.
        workers: Processes that decode photos.
        build: Builds the exported network of a run.

    Returns:
        Folder of the model.

    Raises:
        RecipeError: If a folder has no finished run, or one of another manifest or label.
    """
    runs = read_country_run(run_folder), read_country_run(request.calibrate_on)
    for run in runs:
        check_countries(run)
    exported, calibrating = build(runs[0]), build(runs[1])
    curves = _curves(exported, calibrating, photos, request.command)
    outputs = held_out(calibrating.run, photos, workers)
    calibration = fit_calibration(outputs.where(fit_half(outputs.place)), request.accuracy)
    with TemporaryDirectory() as scratch:
        draft = _card(calibrating, photos, description, request, calibration, {})
        predictions, unknown = _evaluate(
            write_model(calibrating.network, Path(scratch), draft), calibrating.run, photos
        )
        calibration, metrics = calibrate_radii(predictions, draft.labels, calibration)
        metrics |= unknown
        if exported.run.folder != calibrating.run.folder:
            draft = _card(exported, photos, description, request, calibration, {})
            predictions, unknown = _evaluate(write_model(exported.network, Path(scratch), draft), exported.run, photos)
            own = {**unfitted_metrics(predictions, draft.labels), **unknown}
            metrics = {f"{name} (calibrating run)": values for name, values in metrics.items()}
            metrics |= {f"{name} (this model)": values for name, values in own.items()}
    # Last, so that the app never finds a model without metrics.
    card = _card(exported, photos, description, request, calibration, metrics)
    folder = write_model(exported.network, request.models, card)
    write_studies(folder, read_card(folder), curves)
    return folder


def _curves(exported: Exportable, calibrating: Exportable, photos: Manifest, command: str) -> list[TrainingCurves]:
    """Training curves of the runs that left logs: of the exported one, the calibrating one and that of positions."""
    runs = {one.run.folder.resolve(): one.run for one in (exported, calibrating)}
    curves = [country_curves(run, photos, command) for run in runs.values()]
    if exported.positions is not None:
        curves.append(position_curves(exported.positions, command))
    return [one for one in curves if one is not None]


def write_model(network: nn.Module, models: Path, card: ModelCard) -> Path:
    """Write the weights in half precision, and the card with their SHA-256, into `models/<id>/`."""
    folder = models / card.id
    folder.mkdir(parents=True, exist_ok=True)
    half = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    atomic_write(folder / WEIGHTS, save(half))
    hashed = card.model_copy(update={"weights_sha256": sha256(folder / WEIGHTS)})
    atomic_write(folder / CARD, hashed.model_dump_json(indent=2) + "\n")
    return folder


def _evaluate(
    folder: Path, run: CountryRun, photos: Manifest
) -> tuple[dict[str, ManifestPredictions], dict[str, dict[str, float | None]]]:
    """Predictions of a model for held-out photos by split, and its metrics on held-out countries."""
    model = open_model(folder, torch.device("cpu"))
    splits = split(photos, run.recipe.data)
    predictions = {name: predict_manifest(model, part) for name, part in splits.validation.items() if len(part)}
    if not len(splits.held_out_countries):
        return predictions, {}
    return predictions, {"held_out_countries": evaluate(model, splits.held_out_countries).metrics}


def _card(
    exported: Exportable,
    photos: Manifest,
    description: Description,
    request: ExportRequest,
    calibration: Calibration,
    metrics: dict[str, dict[str, float | None]],
) -> ModelCard:
    run = exported.run
    training = split(photos, run.recipe.data).training
    card = ModelCard(
        id=request.model_id,
        summary=description.summary,
        architecture=run.recipe.architecture,
        architecture_args=run.recipe.architecture_args,
        preprocessing=run.recipe.preprocessing,
        labels=run.labels,
        calibration=calibration,
        weights_sha256="0" * 64,  # replaced by `write_model`
        provenance=Provenance(
            recipe=run.recipe.model_dump(mode="json") | dict(exported.recipe),
            manifest_sha256=run.manifest_sha256,
            photos=len(training),
            command=request.command,
            data=description.data,
        ),
        metrics=metrics,
        knows=knows(run.labels, training),
        limits=description.limits,
        licence=description.licence,
    )
    return card.model_copy(update=dict(exported.changes))


def knows(labels: Sequence[str], training: Manifest) -> str:
    """Sentences about the countries with their numbers of photos, and the places with the most photos."""
    table = training.table[training.table["country"].isin(labels)]
    countries = Counter(table["country"]).most_common()
    # Cells of a grid are places too, but have no name.
    by_name = table["place"][~table["place"].str.startswith("gps_")].str.replace("_", " ")
    places = [place for place, n in Counter(by_name).most_common() if n >= _LISTED_PLACE]
    named = ", ".join(f"{country_name(code)} ({n} photos)" for code, n in countries)
    return (
        f"{len(labels)} countries: {named}. Places with {_LISTED_PLACE} training photos or more, by their names in the "
        f"data: {', '.join(places)}. For all other photos it should abstain."
    )
