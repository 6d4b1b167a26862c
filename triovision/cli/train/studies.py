"""Commands that train several runs (cross-validation, search) or evaluate one on other photos."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from triovision.cli.train.options import (
    FILE,
    FOLDER,
    MANIFEST,
    ROOT,
    WHERE,
    WORKERS,
    R,
    RecipeInputs,
    loading_options,
    out_option,
    photos_where,
    recipe_options,
)

if TYPE_CHECKING:
    import optuna

    from triovision.train.recipes.reader import RecipeReader
    from triovision.train.tuning.study import StudyPlan

_GROUPS = {"place": "place", "source": "source", "none": "photo"}


@click.command()
@recipe_options
@out_option("runs")
@click.option("--folds", default=5, type=click.IntRange(min=2), help="Number of folds.")
@click.option(
    "--group",
    type=click.Choice(["place", "source", "none"]),
    default="place",
    help="Keep the photos of each place, or of each source, in one fold.",
)
@click.option(
    "--fold-column",
    metavar="COLUMN",
    help="Column that holds the folds (0, 1, 2 ...; `test`: left out), in place of --folds and --group.",
)
@loading_options
def cv(
    inputs: RecipeInputs,
    out: Path,
    folds: int,
    group: Literal["place", "source", "none"],
    fold_column: str | None,
    **loading: Any,  # noqa: ANN401 - the other options, as `LoadOptions` takes them
) -> None:
    """Cross-validate RECIPE: one run per fold, mean and standard deviation of every metric.

    All photos of the manifest are used, but for those marked `test` in `split_new_sources`. Stop it at any time; the
    same command continues.

    \b
    Examples:
      triovision train cv tf_efficientnet_lite0 --manifest data/manifest.csv --folds 5 --out runs/cv
      triovision train cv tf_efficientnet_lite0 --manifest data/manifest.csv --group source --out runs/cv-sources
    """  # noqa: D301 - click reads the escape
    from triovision.reporting.cross_validation import write_cross_validation_page  # noqa: PLC0415
    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.recipes.country_recipe import read_recipe  # noqa: PLC0415
    from triovision.train.recipes.sections import COUNTRY  # noqa: PLC0415
    from triovision.train.tuning import cross_validation as c  # noqa: PLC0415 - `--help` must not wait for torch

    recipe = read_recipe(inputs.recipe_name, inputs.overrides)
    groups = {group} - {"none"} if fold_column is None else {fold_column}
    needed = groups | ({"place"} if recipe.label_column == COUNTRY else set())
    photos = read_manifest(inputs.manifest, inputs.root, sorted(needed), recipe.label_column)
    with resumable():
        if fold_column is None:
            folded = c.fold_manifest(photos, out, group, folds, recipe.seed)
        else:
            folded = c.column_folds(photos, out, fold_column)
        if folded.always_in_training:
            listed = ", ".join(folded.always_in_training)
            click.echo(f"in the training photos of every fold, having one {_GROUPS[group]}: {listed}")
        if folded.without_training:
            click.echo(f"without training photos in one of the folds: {', '.join(folded.without_training)}")
        runs = c.cross_validate(recipe, folded, out, inputs.weights, LoadOptions(**loading), click.echo)
    table = c.spread_table(runs)
    click.echo(c.spread_text(table))
    c.write_results(recipe, runs, table, out)
    click.echo(f"wrote {write_cross_validation_page(recipe.name, runs, table, out)}")


def _study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        loading_options,
        click.option("--epochs", type=click.IntRange(min=1), help="Epochs of each trial; the recipe's by default."),
        click.option("--jobs", default=1, type=click.IntRange(min=1), help="Trials at a time."),
        click.option(
            "--direction",
            type=click.Choice(["maximize", "minimize"]),
            help="By default minimize for losses, else maximize.",
        ),
        click.option(
            "--metric", help="Metric logged each epoch: <split>/top1, <split>/loss; by default top1 of the first split."
        ),
        click.option("--space", required=True, type=FILE, help="TOML: fields of the recipe and their ranges."),
        out_option("study"),
        recipe_options,
    ):
        command = option(command)
    return command


@click.command()
@_study_options
@click.option("--trials", default=20, type=click.IntRange(min=1), help="Number of trials, finished ones included.")
def tune(trials: int, jobs: int, **options: Any) -> None:  # noqa: ANN401 - options of the plan
    """Search the best values for fields of RECIPE with Optuna: one run per trial, poor trials stop early.

    Stop it at any time; the same command continues.

    \b
    Examples:
      triovision train tune tf_efficientnet_lite0 --manifest data/manifest.csv --space space.toml --trials 20 \\
          --out runs/study
      triovision train tune tf_efficientnet_lite0 --manifest data/manifest.csv --space space.toml --epochs 2 \\
          --jobs 2 --out runs/study
    """  # noqa: D301 - click reads the escape
    from triovision.train.recipes.country_recipe import RECIPES  # noqa: PLC0415
    from triovision.train.tuning import search as tuning  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.tuning.study import open_study  # noqa: PLC0415

    plan = study_plan(RECIPES, **options)
    with resumable(), open_study(plan) as study:
        tuning.tune(plan, study, trials, jobs, click.echo)
        write_study(plan, study)


@click.command()
@_study_options
@click.option(
    "--random", default=12, type=click.IntRange(min=1), help="Number of random trials, finished ones included."
)
@click.option("--grid", is_flag=True, help="Then try all combinations of values around the best random trial.")
def search(random: int, grid: bool, jobs: int, **options: Any) -> None:  # noqa: ANN401 - options of the plan
    """Search the best values for fields of RECIPE at random, then optionally on a grid around the best.

    Stop it at any time; the same command continues.

    \b
    Examples:
      triovision train search tf_efficientnet_lite0 --manifest data/manifest.csv --space space.toml \\
          --random 20 --out runs/search
      triovision train search tf_efficientnet_lite0 --manifest data/manifest.csv --space space.toml \\
          --random 10 --grid --out runs/search
    """  # noqa: D301 - click reads the escape
    from triovision.train.recipes.country_recipe import RECIPES  # noqa: PLC0415
    from triovision.train.tuning import search as tuning  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.tuning.study import open_study  # noqa: PLC0415

    plan = study_plan(RECIPES, **options)
    with resumable(), open_study(plan) as study:
        tuning.search(plan, study, random, grid, jobs, click.echo)
        write_study(plan, study)


def study_plan(
    reader: RecipeReader[R],
    *,
    inputs: RecipeInputs,
    out: Path,
    space: Path,
    metric: str | None,
    direction: Literal["maximize", "minimize"] | None,
    epochs: int | None,
    **loading: Any,  # noqa: ANN401 - the other options, as `LoadOptions` takes them
) -> StudyPlan:
    """Read the inputs of a study and check its objective."""
    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.tuning.search_space import read_space  # noqa: PLC0415
    from triovision.train.tuning.study import StudyPlan, objectives  # noqa: PLC0415

    searched = read_space(space, inputs.recipe_name, inputs.overrides, reader)
    recipe, photos = inputs.read(reader)
    metric = metric or objectives(recipe)[0]
    if metric not in objectives(recipe):
        raise click.UsageError(f"--metric {metric} is not logged; give one of {', '.join(objectives(recipe))}.")
    direction = direction or ("minimize" if metric.endswith("/loss") else "maximize")
    return StudyPlan(
        book=reader,
        recipe_name=inputs.recipe_name,
        overrides=inputs.overrides,
        space=searched,
        manifest=photos,
        folder=out,
        metric=metric,
        direction=direction,
        epochs=epochs,
        weights=inputs.weights,
        options=LoadOptions(**loading),
    )


def write_study(plan: StudyPlan, study: optuna.Study) -> None:
    """Write the best recipe, the table of trials and the page of a study, and print their names."""
    from triovision.reporting.study import write_study_page  # noqa: PLC0415 - `--help` must not wait for Plotly
    from triovision.train.tuning.study import write_results  # noqa: PLC0415

    click.echo(write_results(plan, study))
    click.echo(write_study_page(plan, study))


@contextmanager
def resumable() -> Iterator[None]:
    """Print how to continue after Ctrl+C, which Lightning turns into an exit."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        click.echo("Stopped. Give the same command to continue; finished runs are kept.", err=True)
        sys.exit(130)


@click.command()
@click.argument("run_folder", metavar="RUN", type=FOLDER)
@MANIFEST
@ROOT
@WORKERS
@WHERE
@click.option("--format", "form", type=click.Choice(["json", "table"]), default="table")
def evaluate(
    run_folder: Path, manifest: Path, root: Path | None, workers: int, where: tuple[str, ...], form: str
) -> None:
    """Evaluate RUN, a finished run, on any photos with known countries (or labels of its recipe).

    \b
    Examples:
      triovision train evaluate runs/study --manifest data/manifest.csv --where split_new_sources=test
      triovision train evaluate runs/study --manifest other.csv --format json
    """  # noqa: D301 - click reads the escape
    from triovision.train.engine.run_folder import read_country_run  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.evaluation.country import evaluate_run, scalar_metrics  # noqa: PLC0415
    from triovision.train.recipes.sections import COUNTRY  # noqa: PLC0415

    run = read_country_run(run_folder)
    every, photos = photos_where(manifest, root, where, run.recipe.label_column)
    evaluation = evaluate_run(run, every, photos, workers)
    if evaluation.training_photos:
        click.echo(
            f"Take care: {evaluation.training_photos} of these {len(photos)} photos were training photos of the run.",
            err=True,
        )
    if evaluation.without_label:
        listed = ", ".join(f"{country} ({n})" for country, n in evaluation.without_label.items())
        unknown = sum(evaluation.without_label.values())
        others = "countries without a label in the run" if run.recipe.label_column == COUNTRY else "unknown labels"
        click.echo(f"Photos of {others}, left out of every accuracy: {unknown}, {listed}", err=True)
    if form == "json":
        click.echo(evaluation.metrics.model_dump_json())
        return
    scores = evaluation.metrics.scores
    counts = {"photos": scores.photos, "without_label": scores.without_label}
    if "place" in photos.table:
        counts["places"] = photos.table["place"].nunique()
    for name, count in counts.items():
        click.echo(f"{name:32} {count}")
    by_source = evaluation.metrics.by_source
    for name, value in (scalar_metrics(evaluation.metrics) | (by_source.model_dump() if by_source else {})).items():
        if value is not None:
            click.echo(f"{name:32} {value:.4g}")
