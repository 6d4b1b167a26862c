"""`triovision train ...`: reproduce a model, one command a step."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from triovision.train.manifest import Manifest
    from triovision.train.recipe import Recipe

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)

MANIFEST = click.option("--manifest", required=True, type=_FILE, envvar="TRIOVISION_MANIFEST", help="Table of photos.")
ROOT = click.option("--root", type=_FOLDER, help="Folder of the files; the manifest's by default.")
WEIGHTS = click.option("--weights", type=_FILE, help="Starting weights (safetensors); timm's own by default.")
WORKERS = click.option("--workers", default=2, type=click.IntRange(min=0), help="Processes that decode photos.")


@click.group()
def train() -> None:
    """Reproduce the models that the app shows."""


@train.command()
def recipes() -> None:
    """List the recipes."""
    from triovision.train.recipe import read_recipe, recipe_names  # noqa: PLC0415 - `--help` must not wait for torch

    for name in recipe_names():
        click.echo(f"{name}: {read_recipe(name).description}")


@train.command()
@click.argument("recipe_name", metavar="RECIPE")
@MANIFEST
@ROOT
@WEIGHTS
@WORKERS
@click.option("--out", required=True, type=_FOLDER, help="Folder of the run; one that was begun is resumed.")
@click.option("--go-on-from", type=_FOLDER, help="Finished run whose weights, last layer included, to start from.")
def run(
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    workers: int,
    out: Path,
    go_on_from: Path | None,
) -> None:
    """Train RECIPE, a name or a TOML file. Kill it at any time and give the same command to go on."""
    from triovision.train.checkpoint import read_run  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.run import run as run_recipe  # noqa: PLC0415

    if weights is not None and go_on_from is not None:
        raise click.UsageError("Give --weights or --go-on-from, not both.")
    start = read_run(go_on_from) if go_on_from else weights
    recipe, photos = _inputs(recipe_name, manifest, root)
    click.echo(f"best checkpoint: {run_recipe(recipe, photos, out, start, workers)}")


@train.command()
@click.argument("recipe_name", metavar="RECIPE")
@MANIFEST
@ROOT
@WEIGHTS
@WORKERS
@click.option("--run", "run_folder", type=_FOLDER, help="A finished run to compare with.")
@click.option("--rare", is_flag=True, help="Also measure how well rare countries are learnt.")
def baselines(
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    workers: int,
    run_folder: Path | None,
    rare: bool,
) -> None:
    """Most frequent country, logistic regression on the starting features, and a run, on every split."""
    from triovision.train import baselines as b  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.checkpoint import read_run  # noqa: PLC0415
    from triovision.train.export import held_out  # noqa: PLC0415
    from triovision.train.run import split  # noqa: PLC0415

    recipe, photos = _inputs(recipe_name, manifest, root)
    splits = split(photos, recipe.data)
    parts = {"training": splits.training} | splits.validation
    features = {name: b.frozen_features(recipe, part, weights, workers) for name, part in parts.items()}
    strength = b.choose_strength(splits, features["training"], recipe.seed)
    scores = b.baseline_scores(splits, features, strength)
    if run_folder is not None:
        out = held_out(read_run(run_folder), photos, workers)
        scores += [
            b.score(f"run {run_folder.name}", name, out.logits[out.split == name], out.target[out.split == name])
            for name in splits.validation
        ]
    click.echo(f"{'':24} {'split':14} {'photos':>6} {'top-1':>6} {'top-5':>6} {'macro recall':>12}")
    for s in sorted(scores, key=lambda s: s.split):
        click.echo(f"{s.name:24} {s.split:14} {s.photos:6} {s.top1:6.1%} {s.top5:6.1%} {s.macro_recall:12.1%}")
    click.echo(f"logistic regression: C = {strength:g}, chosen on held-out training places")
    if rare:
        click.echo("min_photos  labels  top-1 on held-out places  mean recall of the rarest labels")
        for low, n, top1, recall in b.rare_country_recall(
            splits.training, features["training"], [5, 10, 15, 20, 30, 50], strength, recipe.seed
        ):
            click.echo(f"{low:10} {n:7} {top1:25.1%} {recall:32.1%}")


@train.command()
@click.argument("run_folder", metavar="RUN", type=_FOLDER)
@MANIFEST
@ROOT
@WORKERS
@click.option("--id", "model_id", required=True, help="<architecture>.<what it was trained on>")
@click.option("--describe", required=True, type=_FILE, help="TOML: summary, data, limits, licence.")
@click.option("--calibrate-on", type=_FOLDER, help="Run whose held-out photos calibrate; RUN itself by default.")
@click.option("--accuracy", default=0.75, type=click.FloatRange(0, 1), help="Wanted of answers not abstained.")
@click.option("--models", type=_FOLDER, default="models", help="Where the model's folder goes.")
def export(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    run_folder: Path,
    manifest: Path,
    root: Path | None,
    workers: int,
    model_id: str,
    describe: Path,
    calibrate_on: Path | None,
    accuracy: float,
    models: Path,
) -> None:
    """Calibrate RUN and write it where the app finds it."""
    from triovision.train.card import ExportRequest, export_run, read_description  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.manifest import read_manifest  # noqa: PLC0415

    photos = read_manifest(manifest, root, ["place"])
    # What lies where on this machine is nobody's business.
    command = shlex.join(["triovision", *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])])
    request = ExportRequest(model_id, calibrate_on or run_folder, accuracy, models, command)
    click.echo(f"wrote {export_run(run_folder, photos, read_description(describe), request, workers)}")


def _inputs(recipe_name: str, manifest: Path, root: Path | None) -> tuple[Recipe, Manifest]:
    from triovision.train.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.recipe import read_recipe  # noqa: PLC0415

    recipe = read_recipe(recipe_name)
    return recipe, read_manifest(manifest, root, ["place", *recipe.data.validation_splits])
