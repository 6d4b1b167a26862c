"""Command `triovision models calibrate`: a model's calibration, fitted on photos of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from triovision.cli.models import known_model
from triovision.cli.terminal import CANCELLED, one_line
from triovision.cli.train.options import DEVICE, ROOT, WHERE, photos_where
from triovision.extras import require

if TYPE_CHECKING:
    from triovision.train.data.manifest import Manifest
    from triovision.train.evaluation.recalibration import Recalibration, Scores

_NAMED_UNREADABLE = 5


@click.command()
@click.argument("model_id", metavar="MODEL")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    envvar="TRIOVISION_MANIFEST",
    help="Table of photos (CSV or Parquet): file, country; where known lat, lon, source.",
)
@ROOT
@WHERE
@click.option(
    "--accuracy",
    default=0.85,
    type=click.FloatRange(0, 1),
    help="Target accuracy of the predictions for which the model does not abstain.",
)
@click.option("--reset", is_flag=True, help="Remove the stored calibration; the one of the card is in force again.")
@DEVICE
def calibrate(
    model_id: str,
    manifest: Path | None,
    root: Path | None,
    where: tuple[str, ...],
    accuracy: float,
    reset: bool,
    device: str | None,
) -> None:
    """Fit the calibration of MODEL on photos that it was not trained on; nothing is trained.

    Temperature, set of likely countries, abstention and radii are fitted, evaluated by cross-fitting, and stored in the
    user's folder of models; they are in force whenever MODEL is loaded. At least 50 photos of 2 countries are needed.
    Exit status: 130 if cancelled, with nothing stored.

    \b
    Examples:
      triovision models calibrate geoclip.mp16 --manifest photos.csv
      triovision models calibrate geoclip.mp16 --reset
    """  # noqa: D301 - click reads the escape
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.stored_calibration import calibration_path  # noqa: PLC0415

    model_id = known_model(model_id, registry.found_models())
    if reset:
        path = calibration_path(registry.install_folder(), model_id)
        existed = path.exists()
        path.unlink(missing_ok=True)
        click.echo(f"{model_id}: {f'removed {path}' if existed else 'had no stored calibration'}")
        return
    if manifest is None:
        raise click.UsageError("Give --manifest with photos of known countries, or --reset.")
    require("train")
    try:
        _fit(model_id, _photos(manifest, root, where), manifest.name, accuracy, device)
    except KeyboardInterrupt:
        click.echo("Cancelled. Nothing was stored.", err=True)
        sys.exit(CANCELLED)


def _photos(manifest: Path, root: Path | None, where: tuple[str, ...]) -> Manifest:
    """Read the selected photos without test photos."""
    from triovision.train.data.splits import TEST_COLUMN, without_test  # noqa: PLC0415 - `--help` must not wait

    _, selected = photos_where(manifest, root, where)
    photos = without_test(selected)
    if not len(photos):
        raise click.UsageError(f"All selected photos are marked `test` in `{TEST_COLUMN}`, and those are not used.")
    return photos


def _fit(model_id: str, photos: Manifest, name: str, accuracy: float, device: str | None) -> None:
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.device import choose_device  # noqa: PLC0415
    from triovision.inference.stored_calibration import write_calibration  # noqa: PLC0415
    from triovision.train.evaluation.predict import predict_manifest  # noqa: PLC0415
    from triovision.train.evaluation.recalibration import recalibrate  # noqa: PLC0415

    model = registry.open_model(registry.model_folder(model_id), choose_device(device))
    with tqdm(total=len(photos), desc="predictions", unit="photo", disable=None) as bar:
        predictions = predict_manifest(model, photos, bar.update)
    if predictions.unreadable:
        click.echo(
            f"{len(predictions.unreadable)} of {len(photos)} photos could not be read and are left out:", err=True
        )
        for _, reason in predictions.unreadable[:_NAMED_UNREADABLE]:
            click.echo(f"  {one_line(reason)}", err=True)
    located = int(predictions.table[["lat", "lon"]].notna().all(axis=1).sum())
    with tqdm(total=4 * located, desc="radii", disable=None if located else True) as bar:
        result = recalibrate(predictions, model.card, accuracy, name, bar.update)
    _print(result, accuracy)
    path = write_calibration(registry.install_folder(), model.card, result.calibration)
    click.echo(f"{model_id}: this calibration is in force from now on; it is in {path}")


def _print(result: Recalibration, accuracy: float) -> None:
    from triovision.train.evaluation.recalibration import MIN_ANSWERED  # noqa: PLC0415 - torch

    columns = ["photos", "sources", "top-1", "top-5", "calib. error", "answered", "of these right"]
    columns += ["in 90 % set", "in 50 % radius", "in 90 % radius"]
    click.echo("  ".join(["      ", *columns]))
    for row, scores in (("before", result.before), ("after", result.after)):
        cells = zip(_cells(scores), columns, strict=True)
        click.echo("  ".join([f"{row:6}", *(f"{cell:>{len(column)}}" for cell, column in cells)]))
    click.echo(f"after: each half, divided by {result.halves}, with the calibration fitted on the other half")
    fitted = result.calibration
    click.echo(f"temperature {fitted.temperature:.3g}, fitted on {fitted.fitted_on}")
    if fitted.abstention_threshold >= 1:
        reason = f"no {MIN_ANSWERED} photos of highest probability reach an accuracy of {accuracy:.0%}"
        click.echo(f"The model always abstains: {reason}. Give more photos, or a lower --accuracy.")
    else:
        click.echo(f"It abstains below a probability of {fitted.abstention_threshold:.1%}.")
    if not result.radii_fitted:
        click.echo(f"The radii stay as they are: too few photos have a position ({result.located}).")


def _cells(scores: Scores) -> tuple[str, ...]:
    fractions = (
        *(scores.top1, scores.top5, scores.calibration_error, scores.answered, scores.answered_accuracy),
        *(scores.set_coverage, scores.radius_holds, scores.radius_90_holds),
    )
    counts = (str(scores.photos), "-" if scores.sources is None else str(scores.sources))
    return (*counts, *("-" if value is None else f"{value:.1%}" for value in fractions))
