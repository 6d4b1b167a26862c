"""The words and figures of a model card."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from triovision.errors import RecipeError
from triovision.geo import country_name
from triovision.inference import CountryEngine
from triovision.inference.card import Calibration, ModelCard, Provenance
from triovision.train.checkpoint import Run, read_run
from triovision.train.evaluation import evaluate
from triovision.train.export import fit_calibration, fit_half, fit_radii, held_out, write_model
from triovision.train.manifest import Manifest
from triovision.train.run_splits import split

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


def export_run(run_folder: Path, photos: Manifest, words: Description, request: ExportRequest, workers: int) -> Path:
    """Calibrate a run, measure it through the finished engine and write its model folder.

    A run that held no new places out borrows calibration and new-place figures from one that did: its own held-out
    photos show places that it knows, and would make it too sure of itself anywhere else.

    Args:
        run_folder: The run to export.
        photos: The manifest that it was trained on.
        words: What only people can say of the model.
        request: See `ExportRequest`.
        workers: Processes that decode photos.

    Returns:
        The model's folder.

    Raises:
        RecipeError: If a folder holds no finished run, or one of another manifest.
    """
    run, calibrating = read_run(run_folder), read_run(request.calibrate_on)
    seen = held_out(calibrating, photos, workers)
    fitting = seen.where(fit_half(seen.place))
    calibration = fit_radii(fitting, calibrating.labels, fit_calibration(fitting, request.accuracy))
    with TemporaryDirectory() as scratch:

        def figures(of: Run) -> dict[str, dict[str, float | None]]:
            unmeasured = _card(of, photos, words, request, calibration, {})
            return _measure(write_model(of, Path(scratch), unmeasured), of, photos)

        metrics = figures(calibrating)
        if run.folder != calibrating.folder:
            borrowed = {f"{name} (calibrating run)": values for name, values in metrics.items()}
            metrics = borrowed | {f"{name} (this model)": values for name, values in figures(run).items()}
    # Written once and last, so that no model without its figures ever lies where the app looks.
    return write_model(run, request.models, _card(run, photos, words, request, calibration, metrics))


def _measure(folder: Path, run: Run, photos: Manifest) -> dict[str, dict[str, float | None]]:
    """Figures on each split's half that calibration was not fitted on, and on the countries kept from training."""
    engine = CountryEngine(folder, torch.device("cpu"))
    splits = split(photos, run.recipe.data)
    parts = {name: part.where(~fit_half(part.table["place"])) for name, part in splits.validation.items()}
    parts["elsewhere"] = splits.elsewhere
    return {name: evaluate(engine, part).metrics for name, part in parts.items() if len(part)}


def _card(
    run: Run,
    photos: Manifest,
    words: Description,
    request: ExportRequest,
    calibration: Calibration,
    metrics: dict[str, dict[str, float | None]],
) -> ModelCard:
    training = split(photos, run.recipe.data).training
    return ModelCard(
        id=request.model_id,
        summary=words.summary,
        architecture=run.recipe.architecture,
        architecture_args=run.recipe.architecture_args,
        preprocessing=run.recipe.preprocessing,
        labels=run.labels,
        calibration=calibration,
        weights_sha256="0" * 64,  # `write_model` puts the hash of what it wrote
        provenance=Provenance(
            recipe=run.recipe.model_dump(mode="json"),
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
