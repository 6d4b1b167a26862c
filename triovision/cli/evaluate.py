"""Command `triovision evaluate`: the metrics of a model on photos with known places."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

from triovision.cli.formats import FORMAT, json_line, print_rows
from triovision.cli.terminal import one_line
from triovision.cli.train.options import DEVICE, WHERE, photos_where
from triovision.extras import require


@click.command()
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="CSV: file, country, lat, lon.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the files; the manifest's by default.")
@click.option("--model", "model_id", help="Model id; see `models`.")
@WHERE
@click.option(
    "--training-manifest",
    type=click.Path(path_type=Path),
    help="Manifest of the model's training photos, for distances by the nearest training photo.",
)
@FORMAT
@DEVICE
def evaluate(
    manifest: Path,
    root: Path | None,
    model_id: str | None,
    where: tuple[str, ...],
    training_manifest: Path | None,
    form: str,
    device: str | None,
) -> None:
    """Measure a model on photos with known places.

    Unreadable photos are counted and listed. Exit status 0 when all were read, 1 when some were not.

    \b
    Examples:
      triovision evaluate --manifest photos.csv
      triovision evaluate --manifest photos.csv --where split_new_sources=test --format json
    """  # noqa: D301 - click reads the escape
    require("train")
    from triovision.inference import load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.evaluation.predict import evaluate as evaluate_model  # noqa: PLC0415

    _, photos = photos_where(manifest, root, where)
    trained_on = None if training_manifest is None else read_manifest(training_manifest, columns=["lat", "lon"])
    with tqdm(total=len(photos), unit="photo", disable=None) as bar:
        evaluation = evaluate_model(load_model(model_id, device), photos, bar.update, trained_on)
    if form == "json":
        unreadable = [{"file": file, "reason": reason} for file, reason in evaluation.unreadable]
        click.echo(json_line({"model": evaluation.model, "metrics": evaluation.metrics, "unreadable": unreadable}))
    elif form == "csv":
        print_rows(({"metric": name, "value": value} for name, value in evaluation.metrics.items()), form)
    else:
        for name, value in evaluation.metrics.items():
            click.echo(f"{name:32} {'-' if value is None else f'{value:.4g}'}")
    if form != "json":
        for _, reason in evaluation.unreadable:
            click.echo(f"unreadable: {one_line(reason)}", err=True)
    sys.exit(1 if evaluation.unreadable else 0)
