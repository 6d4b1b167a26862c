"""List the recipes and run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triovision.cli.train.options import FOLDER, MANIFEST, OVERRIDES, ROOT, WEIGHTS, WORKERS, inputs, loading_options


@click.command()
def recipes() -> None:
    """List the recipes."""
    from triovision.train.recipe import read_recipe, recipe_names  # noqa: PLC0415 - `--help` must not wait for torch

    for name in recipe_names():
        click.echo(f"{name}: {read_recipe(name).description}")


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@MANIFEST
@ROOT
@WEIGHTS
@WORKERS
@OVERRIDES
@click.option("--out", required=True, type=FOLDER, help="Folder of the run; one that was begun is resumed.")
@click.option("--go-on-from", type=FOLDER, help="Finished run whose weights, last layer included, to start from.")
@loading_options
def run(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    workers: int,
    overrides: tuple[str, ...],
    out: Path,
    go_on_from: Path | None,
    **loading: Any,  # noqa: ANN401 - the other options, as `Loading` takes them
) -> None:
    """Train RECIPE, a name or a TOML file. Kill it at any time and give the same command to go on."""
    from triovision.train.checkpoint import read_run  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.loading import Loading  # noqa: PLC0415
    from triovision.train.run import run as run_recipe  # noqa: PLC0415

    if weights is not None and go_on_from is not None:
        raise click.UsageError("Give --weights or --go-on-from, not both.")
    start = read_run(go_on_from) if go_on_from else weights
    recipe, photos = inputs(recipe_name, manifest, root, overrides)
    finished = run_recipe(recipe, photos, out, start, workers, Loading(**loading))
    click.echo(f"finished weights: {finished}")
