"""Commands `triovision models figures|studies`: what the page draws of a model beside its card."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from triovision.cli.models import known_model
from triovision.cli.train.options import DEVICE, FOLDER, MANIFEST, ROOT, WHERE, command_line, photos_where
from triovision.extras import require


@click.command()
@click.argument("model_id", metavar="MODEL")
@MANIFEST
@ROOT
@WHERE
@click.option("--models", type=FOLDER, help="Parent of the model's folder to write to; where the model is by default.")
@DEVICE
def figures(
    model_id: str,
    manifest: Path,
    root: Path | None,
    where: tuple[str, ...],
    models: Path | None,
    device: str | None,
) -> None:
    """Measure the figures of MODEL's card on photos of sources that it was not trained on, and write figures.json.

    Probabilities are calibrated by cross-fitting: each half of the sources with the temperature of the other half.
    Photos marked `test` are never used. Exit status: 0 when the file is written, 2 for wrong usage.

    \b
    Examples:
      triovision models figures resnetgps_v1.places10k --manifest new_sources.csv
      triovision models figures mine.photos --manifest photos.csv --where source=holidays
    """  # noqa: D301 - click reads the escape
    require("train")
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.device import choose_device  # noqa: PLC0415
    from triovision.train.data.splits import without_test  # noqa: PLC0415
    from triovision.train.evaluation import model_figures as f  # noqa: PLC0415
    from triovision.train.evaluation.predict import predict_manifest  # noqa: PLC0415

    folder = registry.model_folder(known_model(model_id, registry.found_models()))
    photos = without_test(photos_where(manifest, root, where)[1])
    if not len(photos):
        raise click.UsageError("All selected photos are marked `test`, and those are not used.")
    model = registry.open_model(folder, choose_device(device))
    with tqdm(total=len(photos), desc="predictions", unit="photo", disable=None) as bar:
        predictions = predict_manifest(model, photos, bar.update)
    if predictions.unreadable:
        click.echo(
            f"{len(predictions.unreadable)} of {len(photos)} photos could not be read and are left out.", err=True
        )
    answers, column = f.cross_fit_answers(predictions, model.card, manifest.name)
    halves = f"each half, divided by {column}, with the temperature fitted on the other half"
    measured = f.measure_figures(answers, model.card, f"manifest {manifest.name}; {halves}", command_line())
    path = f.write_figures(folder if models is None else models / model.card.id, measured)
    click.echo(f"{measured.photos} photos, top-1 {measured.top1:.1%}; wrote {path}")


@click.command()
@click.argument("model_id", metavar="MODEL")
@click.argument("folders", metavar="FOLDER...", type=FOLDER, nargs=-1, required=True)
def studies(model_id: str, folders: tuple[Path, ...]) -> None:
    """Add the studies behind MODEL to its studies.json, which the page draws.

    FOLDER is the --out folder of `train compare`, `train cv` (several are compared), `train benchmark resnetgps`,
    `train tune`, `train search` or `train gps tune`. `train export` has written the training curves. A study with the
    name of an earlier one replaces it. Exit status: 0 when the file is written, 2 for wrong usage.

    \b
    Example:
      triovision models studies resnetgps_v1.mine runs/comparison runs/gps-benchmark runs/gps-study

    \b
    Examples:
      triovision models studies tf_efficientnet_lite0.holiday runs/comparison runs/study
      triovision models studies resnetgps_v1.places10k runs/gps-benchmark runs/gps-study
    """  # noqa: D301 - click reads the escape
    require("train")
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.card import read_card  # noqa: PLC0415
    from triovision.metrics.model_studies import read_studies  # noqa: PLC0415
    from triovision.train.evaluation.model_studies import write_studies  # noqa: PLC0415
    from triovision.train.tuning.model_studies import read_folders  # noqa: PLC0415

    folder = registry.model_folder(known_model(model_id, registry.found_models()))
    card = read_card(folder)
    kept = read_studies(folder, card.id, card.weights_sha256)
    click.echo(f"wrote {write_studies(folder, card, read_folders(folders, command_line()), kept)}")
