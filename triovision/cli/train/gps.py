"""Commands that train and tune ResNetGPS, the position regressor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triovision.cli.train.options import (
    FILE,
    RecipeInputs,
    out_option,
    reading_options,
    recipe_options,
)
from triovision.cli.train.studies import resumable, study_plan, write_study


@click.group()
def gps() -> None:
    """ResNetGPS: position from a photo and the metadata of a city."""


@gps.command()
def recipes() -> None:
    """List the position recipes.

    \b
    Examples:
      triovision train gps recipes
      triovision train gps recipes | grep mixture
    """  # noqa: D301 - click reads the escape
    from triovision.train.recipes.position_recipe import RECIPES  # noqa: PLC0415 - `--help` must not wait for torch

    for name in RECIPES.names():
        click.echo(f"{name}: {RECIPES.read(name).description}")


@gps.command()
@recipe_options
@out_option("run")
@click.option(
    "--countries",
    metavar="RUN|MODEL",
    help="Source of the country probabilities: folder of a country run, or id of a model. By default a linear probe "
    "on the training photos, which has seen no held-out photo.",
)
@reading_options
def run(
    inputs: RecipeInputs,
    out: Path,
    countries: str | None,
    **reading: Any,  # noqa: ANN401 - the other options, for `ReadOptions`
) -> None:
    """Train RECIPE, a name or a TOML file, and evaluate it on its held-out photos.

    Stop it at any time; the same command resumes it.

    \b
    Examples:
      triovision train gps run resnetgps_v1 --manifest data/manifest.csv --weights resnet50.safetensors --out runs/gps
      triovision train gps run resnetgps_v1_mixture --manifest data/manifest.csv --countries runs/backbone \\
          --out runs/gps
    """  # noqa: D301 - click reads the escape
    from triovision.train.data.loaders import ReadOptions  # noqa: PLC0415
    from triovision.train.engine.run import train_position  # noqa: PLC0415
    from triovision.train.engine.run_folder import read_position_run  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.evaluation.country_probabilities import read_classifier  # noqa: PLC0415
    from triovision.train.evaluation.position import scores_text, write_metrics  # noqa: PLC0415
    from triovision.train.recipes.position_recipe import RECIPES  # noqa: PLC0415

    recipe, photos = inputs.read(RECIPES)
    options = ReadOptions(**reading)
    classifier = None if countries is None else read_classifier(countries)
    with resumable():
        train_position(recipe, photos, out, inputs.weights, options)
        metrics = write_metrics(read_position_run(out), photos, classifier, options)
    if metrics.classifier_training_photos != 0:
        number = metrics.classifier_training_photos or "an unknown number"
        reason = f"{number} of the held-out photos were training photos of {metrics.countries}"
        click.echo(f"Take care: {reason}; its metrics are too optimistic.", err=True)
    click.echo(scores_text(metrics))
    click.echo(f"wrote {out / 'metrics.json'}")


@gps.command()
@recipe_options
@out_option("study")
@click.option("--space", type=FILE, help="TOML: fields of the recipe and their ranges; by default the published ones.")
@click.option("--metric", default="val/median_km", help="Metric logged each epoch, to minimise.")
@click.option("--trials", default=20, type=click.IntRange(min=1), help="Number of trials, finished ones included.")
@click.option("--epochs", default=10, type=click.IntRange(min=1), help="Epochs of each trial.")
@click.option("--jobs", default=1, type=click.IntRange(min=1), help="Trials at a time.")
@reading_options
def tune(
    inputs: RecipeInputs,
    out: Path,
    space: Path | None,
    metric: str,
    trials: int,
    epochs: int,
    jobs: int,
    **reading: Any,  # noqa: ANN401 - the other options, for `ReadOptions`
) -> None:
    """Search the best values for fields of RECIPE with Optuna: one run per trial, poor trials stop early.

    Stop it at any time; the same command resumes it.

    \b
    Examples:
      triovision train gps tune resnetgps_v1 --manifest data/manifest.csv --out runs/gps-study
      triovision train gps tune resnetgps_v1 --manifest data/manifest.csv --trials 30 --epochs 4 --out runs/gps-study
    """  # noqa: D301 - click reads the escape
    from triovision.train.recipes.position_recipe import RECIPES  # noqa: PLC0415
    from triovision.train.tuning import search as tuning  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.tuning.search_space import published_space  # noqa: PLC0415
    from triovision.train.tuning.study import open_study  # noqa: PLC0415

    plan = study_plan(
        RECIPES,
        inputs=inputs,
        out=out,
        space=space or published_space(),
        metric=metric,
        direction="minimize",
        epochs=epochs,
        **reading,
    )
    with resumable(), open_study(plan) as study:
        tuning.tune(plan, study, trials, jobs, click.echo)
        write_study(plan, study)
