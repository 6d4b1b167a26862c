"""Studies of several runs: cross-validation and searches; and one run on other photos."""

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
    OVERRIDES,
    ROOT,
    WEIGHTS,
    WHERE,
    WORKERS,
    inputs,
    loading_options,
    photos_where,
)

if TYPE_CHECKING:
    from triovision.train.tuning.study import Plan

_GROUPS = {"place": "place", "none": "photo"}


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@MANIFEST
@ROOT
@WEIGHTS
@WORKERS
@OVERRIDES
@click.option("--out", required=True, type=FOLDER, help="Folder of the runs; one that was begun is gone on with.")
@click.option("--folds", default=5, type=click.IntRange(min=2), help="Number of folds.")
@click.option("--group", type=click.Choice(["place", "none"]), default="place", help="What is never divided.")
@loading_options
def cv(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    overrides: tuple[str, ...],
    out: Path,
    folds: int,
    group: Literal["place", "none"],
    **loading: Any,  # noqa: ANN401 - the other options, as `LoadOptions` takes them
) -> None:
    """Cross-validate RECIPE: one run a fold, and mean and standard deviation of every figure.

    All photos of the manifest take part. Kill it at any time and give the same command to go on.
    """
    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415
    from triovision.train.recipes.country_recipe import read_recipe  # noqa: PLC0415
    from triovision.train.tuning import cross_validation as c  # noqa: PLC0415 - `--help` must not wait for torch

    recipe = read_recipe(recipe_name, overrides)
    with going_on():
        folded = c.fold_manifest(read_manifest(manifest, root, ["place"]), out, group, folds, recipe.seed)
        if folded.always_learnt:
            click.echo(f"learnt from with every fold, having one {_GROUPS[group]}: {', '.join(folded.always_learnt)}")
        runs = c.cross_validate(recipe, folded, out, weights, LoadOptions(**loading), click.echo)
    table = c.spread_table(runs)
    click.echo(c.spread_text(table))
    click.echo(f"wrote {c.write_cross_validation(recipe, runs, table, out)}")


def _study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        loading_options,
        click.option("--epochs", type=click.IntRange(min=1), help="Epochs of each trial; the recipe's by default."),
        click.option("--jobs", default=1, type=click.IntRange(min=1), help="Trials at a time."),
        click.option("--direction", type=click.Choice(["maximize", "minimize"]), help="By default, small for losses."),
        click.option("--metric", help="Figure logged each epoch: <split>/top1, <split>/loss; the first split's top1."),
        click.option("--space", required=True, type=FILE, help="TOML: fields of the recipe and their ranges."),
        click.option("--out", required=True, type=FOLDER, help="Folder of the study; one begun is gone on with."),
        OVERRIDES,
        WORKERS,
        WEIGHTS,
        ROOT,
        MANIFEST,
        click.argument("recipe_name", metavar="RECIPE"),
    ):
        command = option(command)
    return command


@click.command()
@_study_options
@click.option("--trials", default=20, type=click.IntRange(min=1), help="Trials to finish, earlier ones included.")
def tune(trials: int, jobs: int, **options: Any) -> None:  # noqa: ANN401 - options of the plan
    """Look for the best values of RECIPE's fields with Optuna: each trial is a run, hopeless ones are ended early.

    Kill it at any time and give the same command to go on.
    """
    from triovision.reporting.study import write_outputs  # noqa: PLC0415
    from triovision.train.tuning import search as tuning  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.tuning.study import opened  # noqa: PLC0415

    plan = _plan(**options)
    with going_on(), opened(plan) as study:
        tuning.tune(plan, study, trials, jobs, click.echo)
        click.echo(write_outputs(plan, study))


@click.command()
@_study_options
@click.option("--random", default=12, type=click.IntRange(min=1), help="Random trials, earlier ones included.")
@click.option("--grid", is_flag=True, help="Then try all combinations of values next to the best random trial's.")
def search(random: int, grid: bool, jobs: int, **options: Any) -> None:  # noqa: ANN401 - options of the plan
    """Look for the best values of RECIPE's fields at random, then perhaps on a grid around the best.

    Kill it at any time and give the same command to go on.
    """
    from triovision.reporting.study import write_outputs  # noqa: PLC0415
    from triovision.train.tuning import search as tuning  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.tuning.study import opened  # noqa: PLC0415

    plan = _plan(**options)
    with going_on(), opened(plan) as study:
        tuning.search(plan, study, random, grid, jobs, click.echo)
        click.echo(write_outputs(plan, study))


def _plan(  # noqa: PLR0913 - click passes each option as an argument
    *,
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    overrides: tuple[str, ...],
    out: Path,
    space: Path,
    metric: str | None,
    direction: Literal["maximize", "minimize"] | None,
    epochs: int | None,
    **loading: Any,  # noqa: ANN401 - the other options, as `LoadOptions` takes them
) -> Plan:
    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.tuning.search_space import read_space  # noqa: PLC0415
    from triovision.train.tuning.study import Plan, objectives  # noqa: PLC0415

    found = read_space(space, recipe_name, overrides)
    recipe, photos = inputs(recipe_name, manifest, root, overrides)
    metric = metric or objectives(recipe)[0]
    if metric not in objectives(recipe):
        raise click.UsageError(f"--metric {metric} is not logged; give one of {', '.join(objectives(recipe))}.")
    direction = direction or ("minimize" if metric.endswith("/loss") else "maximize")
    return Plan(recipe_name, overrides, found, photos, out, metric, direction, epochs, weights, LoadOptions(**loading))


@contextmanager
def going_on() -> Iterator[None]:
    """Say how to go on after Ctrl+C, which Lightning makes an exit of."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        click.echo("Stopped. Give the same command to go on; what is finished is kept.", err=True)
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
    """Measure RUN, a finished run, on any photos with known countries."""
    from triovision.train.engine.run_folder import read_country_run  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.evaluation.country import evaluate_run, scalar_metrics  # noqa: PLC0415

    run = read_country_run(run_folder)
    every, photos = photos_where(manifest, root, where)
    found = evaluate_run(run, every, photos, workers)
    if found.learnt:
        click.echo(f"Take care: the run learnt from {found.learnt} of these {len(photos)} photos.", err=True)
    if found.without_label:
        listed = ", ".join(f"{country} ({n})" for country, n in found.without_label.items())
        unknown = sum(found.without_label.values())
        click.echo(f"Photos of countries that the run has no label for, in no accuracy: {unknown}, {listed}", err=True)
    if form == "json":
        click.echo(found.metrics.model_dump_json())
        return
    scores = found.metrics.scores
    for name, count in (("photos", scores.photos), ("without_label", scores.without_label)):
        click.echo(f"{name:32} {count}")
    for name, value in scalar_metrics(found.metrics).items():
        if value is not None:
            click.echo(f"{name:32} {value:.4g}")
