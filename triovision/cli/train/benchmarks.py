"""Commands that compare models, and architectures under the same hyper-parameters, on the same photos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from triovision.cli.train.options import (
    DEVICE,
    FILE,
    FOLDER,
    MANIFEST,
    OVERRIDES,
    ROOT,
    WEIGHTS,
    out_option,
    reading_options,
)
from triovision.cli.train.studies import resumable
from triovision.errors import ModelError


@click.group()
def benchmark() -> None:
    """Compare models, or architectures, on the same photos."""


@benchmark.command()
@click.argument("model_ids", metavar="[MODEL]...", nargs=-1)
@MANIFEST
@ROOT
@DEVICE
@click.option(
    "--split",
    "columns",
    multiple=True,
    default=("split_new_places", "split_known_places"),
    help="Column of the manifest with `val` for held-out photos; may be repeated: a photo belongs to the first.",
)
@click.option("--timed", default=100, type=click.IntRange(min=1), help="Number of photos timed one at a time.")
@click.option("--markdown", is_flag=True, help="Print the tables in Markdown.")
@click.option("--out", type=FILE, help="JSON, CSV or Parquet file for all metrics.")
def models(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    model_ids: tuple[str, ...],
    manifest: Path,
    root: Path | None,
    device: str | None,
    columns: tuple[str, ...],
    timed: int,
    markdown: bool,
    out: Path | None,
) -> None:
    """Evaluate installed models, by default all of them, on the same held-out photos: one table per split.

    A model that cannot be loaded is reported and skipped. The exit status is 0 if all models and photos could be
    used, else 1.

    \b
    Examples:
      triovision train benchmark models --manifest data/manifest.csv --markdown
      triovision train benchmark models resnetgps_v1.places10k --manifest data/manifest.csv --timed 50
    """  # noqa: D301 - click reads the escape
    from triovision.inference import list_models, load_model  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.evaluation import benchmark as b  # noqa: PLC0415

    if out is not None:
        b.check_out(out)
    photos = b.build_benchmark(read_manifest(manifest, root, ["place", *columns]), columns, timed)
    ids = list(dict.fromkeys(model_ids or [card.id for card in list_models()]))
    results, faults = [], []
    with tqdm(total=len(ids) * sum(map(len, photos.parts.values())), unit="photo", disable=None) as bar:
        for model_id in ids:
            try:
                results += b.run_benchmark(load_model(model_id, device), photos, bar.update)
            except ModelError as error:
                faults.append(str(error))
    unreadable = dict(pair for result in results for pair in result.evaluation.unreadable)
    if results:
        click.echo(b.benchmark_tables(results, len(photos.timed), markdown=markdown))
    if results and out is not None:
        b.write_results(results, out)
        click.echo(f"wrote {out}", err=True)
    for fault in (*faults, *(f"unreadable: {reason}" for reason in unreadable.values())):
        click.echo(fault, err=True)
    sys.exit(1 if faults or unreadable else 0)


@benchmark.command()
@MANIFEST
@ROOT
@WEIGHTS
@OVERRIDES
@out_option("runs")
@click.option(
    "--recipe", "recipe_name", default="resnetgps_v1", help="Recipe of all versions; its own version is ignored."
)
@click.option("--folds", default=5, type=click.IntRange(min=2), help="Number of folds.")
@click.option("--versions", default="v1,v2,v3,v4", help="Versions to compare, separated by commas.", show_default=True)
@click.option("--study", type=FOLDER, help="Folder of `gps tune`, to show its history and importances.")
@reading_options
def resnetgps(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    overrides: tuple[str, ...],
    out: Path,
    recipe_name: str,
    folds: int,
    versions: str,
    study: Path | None,
    **reading: Any,  # noqa: ANN401 - the other options, for `ReadOptions`
) -> None:
    """Cross-validate ResNetGPS V1 to V4 by place: mean and standard deviation of every metric.

    Each version is evaluated with the metadata of the true city, as in training, and with the metadata of candidate
    cities, as in the app. All photos with a position are used.

    Stop it at any time; the same command resumes it.

    \b
    Examples:
      triovision train benchmark resnetgps --manifest data/manifest.csv --out runs/gps-benchmark
      triovision train benchmark resnetgps --manifest data/manifest.csv --set optimisation.epochs=8 \\
          --out runs/gps-benchmark
    """  # noqa: D301 - click reads the escape
    from triovision.reporting.position import write_benchmark_page  # noqa: PLC0415
    from triovision.reporting.study import read_study_figures  # noqa: PLC0415
    from triovision.train.data.loaders import ReadOptions  # noqa: PLC0415
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.data.positions import located  # noqa: PLC0415
    from triovision.train.recipes.position_recipe import RECIPES  # noqa: PLC0415
    from triovision.train.tuning import position_benchmark as b  # noqa: PLC0415
    from triovision.train.tuning.cross_validation import fold_manifest  # noqa: PLC0415 - `--help` must not wait for torch

    chosen = [
        RECIPES.read(recipe_name, [*overrides, f"version={version}", f"name=resnetgps_{version}"])
        for version in dict.fromkeys(versions.replace(" ", "").split(","))
    ]
    photos = located(read_manifest(manifest, root, ["place"]))
    click.echo(f"{len(photos.manifest)} photos with a position, {photos.without_position} without")
    more_figures = {} if study is None else read_study_figures(study)
    with resumable():
        folded = fold_manifest(photos.manifest, out, "place", folds, chosen[0].seed)
        if folded.always_in_training:
            listed = ", ".join(folded.always_in_training)
            click.echo(f"in the training photos of every fold, having one place: {listed}")
        metrics = b.run_benchmark(chosen, folded, out, weights, ReadOptions(**reading), click.echo)
    table = b.spread_table(metrics)
    click.echo(b.spread_text(table))
    b.write_results(metrics, table, out)
    click.echo(f"wrote {write_benchmark_page(metrics, out, more_figures)}")
