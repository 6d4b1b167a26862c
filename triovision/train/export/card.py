"""The words and figures of a model card."""

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
from triovision.inference.card import CARD, WEIGHTS, Calibration, ModelCard, Provenance, sha256
from triovision.inference.registry import open_model
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import CountryRun, read_country_run
from triovision.train.evaluation.calibration import (
    calibrate_radii,
    fit_calibration,
    fit_half,
    held_out,
    unfitted_metrics,
)
from triovision.train.evaluation.predict import ManifestPredictions, evaluate, predict_manifest

#: A place with this many training photos is one that the model can be said to know.
_WELL_KNOWN = 20


class Description(BaseModel):
    """What only people can say of a model.

    Attributes:
        summary: One sentence.
        data: What the photos are.
        limits: What the model cannot do.
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
        words = Description.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as exc:
        remedy = f"Give a TOML file with {', '.join(Description.model_fields)}"
        raise RecipeError(str(path), f"is no description of a model ({exc})", remedy) from exc
    # Lines end where the file's margin is, which means nothing to a reader of the card.
    return Description(**{name: " ".join(text.split()) for name, text in words.model_dump().items()})


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What an export is asked for.

    Attributes:
        model_id: `<architecture>.<what it was trained on>`.
        calibrate_on: Folder of the run whose held-out photos calibrate.
        accuracy: Wanted share of right answers among those that are not abstained.
        models: Folder that the model's folder is written into.
        command: The command line, for the card.
    """

    model_id: str
    calibrate_on: Path
    accuracy: float
    models: Path
    command: str


@dataclass(frozen=True, slots=True)
class Exportable:
    """What can be made a model of.

    Attributes:
        run: A country classifier's run.
        network: Its network, or one that takes its features further.
        changes: Fields of the card that are not as for the run alone.
        recipe: What its recipe has beside the run's.
    """

    run: CountryRun
    network: nn.Module
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


def country_classifier(run: CountryRun) -> Exportable:
    """A run as it is."""
    return Exportable(run, run.network)


def export_run(
    run_folder: Path,
    photos: Manifest,
    words: Description,
    request: ExportRequest,
    workers: int,
    build: Callable[[CountryRun], Exportable] = country_classifier,
) -> Path:
    """Calibrate a run, measure it through the finished engine and write its model folder.

    A run that held no new places out borrows calibration and new-place figures from one that did: its own held-out
    photos show places that it knows, and would make it too sure of itself anywhere else. Figures are those of the half
    of the held-out places that thresholds were not fitted on. The radii want more places than that has: they are
    fitted on all, and their figures are those of each half with the factors of the other.

    Args:
        run_folder: The run to export.
        photos: The manifest that it was trained on.
        words: What only people can say of the model.
        request: See `ExportRequest`.
        workers: Processes that decode photos.
        build: What to make of a run.

    Returns:
        The model's folder.

    Raises:
        RecipeError: If a folder holds no finished run, or one of another manifest.
    """
    made, calibrating = build(read_country_run(run_folder)), build(read_country_run(request.calibrate_on))
    seen = held_out(calibrating.run, photos, workers)
    calibration = fit_calibration(seen.where(fit_half(seen.place)), request.accuracy)
    with TemporaryDirectory() as scratch:
        draft = _card(calibrating, photos, words, request, calibration, {})
        answers, elsewhere = _asked(write_model(calibrating.network, Path(scratch), draft), calibrating.run, photos)
        calibration, metrics = calibrate_radii(answers, draft.labels, calibration)
        metrics |= elsewhere
        if made.run.folder != calibrating.run.folder:
            draft = _card(made, photos, words, request, calibration, {})
            answers, elsewhere = _asked(write_model(made.network, Path(scratch), draft), made.run, photos)
            own = {**unfitted_metrics(answers, draft.labels), **elsewhere}
            metrics = {f"{name} (calibrating run)": values for name, values in metrics.items()}
            metrics |= {f"{name} (this model)": values for name, values in own.items()}
    # Written once and last, so that no model without its figures ever lies where the app looks.
    return write_model(made.network, request.models, _card(made, photos, words, request, calibration, metrics))


def write_model(network: nn.Module, models: Path, card: ModelCard) -> Path:
    """Write the weights in half precision and the card with their hash into `models/<id>/`."""
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


def _asked(
    folder: Path, run: CountryRun, photos: Manifest
) -> tuple[dict[str, ManifestPredictions], dict[str, dict[str, float | None]]]:
    """What a model says of held-out photos, by the split, and its figures on the countries kept from training."""
    model = open_model(folder, torch.device("cpu"))
    splits = split(photos, run.recipe.data)
    answers = {name: predict_manifest(model, part) for name, part in splits.validation.items() if len(part)}
    if not len(splits.held_out_countries):
        return answers, {}
    return answers, {"elsewhere": evaluate(model, splits.held_out_countries).metrics}


def _card(
    made: Exportable,
    photos: Manifest,
    words: Description,
    request: ExportRequest,
    calibration: Calibration,
    metrics: dict[str, dict[str, float | None]],
) -> ModelCard:
    run = made.run
    training = split(photos, run.recipe.data).training
    card = ModelCard(
        id=request.model_id,
        summary=words.summary,
        architecture=run.recipe.architecture,
        architecture_args=run.recipe.architecture_args,
        preprocessing=run.recipe.preprocessing,
        labels=run.labels,
        calibration=calibration,
        weights_sha256="0" * 64,  # `write_model` puts the hash of what it wrote
        provenance=Provenance(
            recipe=run.recipe.model_dump(mode="json") | dict(made.recipe),
            manifest_sha256=run.manifest_sha256,
            photos=len(training),
            command=request.command,
            data=words.data,
        ),
        metrics=metrics,
        knows=_knows(run.labels, training),
        limits=words.limits,
        licence=words.licence,
    )
    return card.model_copy(update=dict(made.changes))


def _knows(labels: Sequence[str], training: Manifest) -> str:
    """Countries with their number of photos, and the best-known places, in plain words."""
    table = training.table[training.table["country"].isin(labels)]
    countries = Counter(table["country"]).most_common()
    # Cells of a grid are places too, but no reader knows them by their corner.
    by_name = table["place"][~table["place"].str.startswith("gps_")].str.replace("_", " ")
    places = [place for place, n in Counter(by_name).most_common() if n >= _WELL_KNOWN]
    named = ", ".join(f"{country_name(code)} ({n} photos)" for code, n in countries)
    return (
        f"{len(labels)} countries: {named}. Places with {_WELL_KNOWN} training photos or more, by the names that the "
        f"data give them: {', '.join(places)}. For everything else it is meant to abstain."
    )
