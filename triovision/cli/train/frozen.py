"""Commands that fit, measure and export models on frozen backbones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from triovision.cli.train.options import FILE, FOLDER, MANIFEST, OVERRIDES, ROOT, command_line
from triovision.cli.train.studies import resumable


@click.group()
def frozen() -> None:
    """Country classifier and landmark index on frozen backbones, fitted and measured across sources."""


@frozen.command()
def recipes() -> None:
    """List the recipes.

    \b
    Examples:
      triovision train frozen recipes
      triovision train frozen recipes | grep efficientnet
    """  # noqa: D301 - click reads the escape
    from triovision.train.recipes.frozen_recipe import RECIPES  # noqa: PLC0415 - `--help` must not wait for torch

    for name in RECIPES.names():
        click.echo(f"{name}: {RECIPES.read(name).description}")


@frozen.command()
@click.argument("recipe_name", metavar="RECIPE")
@MANIFEST
@ROOT
@click.option("--weights", multiple=True, type=FILE, help="Initial weights of a backbone; one file for each, in order.")
@OVERRIDES
@click.option("--cache", required=True, type=FOLDER, help="Folder of kept features; an interrupted run goes on.")
@click.option("--id", "model_id", required=True, help="Id of the model, such as efficientnet_lites.places14k.")
@click.option("--describe", required=True, type=FILE, help="TOML file with summary, data, limits and licence.")
@click.option("--models", default="models", type=FOLDER, help="Parent of the model folder.")
def export(
    *,
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: tuple[Path, ...],
    overrides: tuple[str, ...],
    cache: Path,
    **target: Any,  # noqa: ANN401 - where the model goes and what its card says
) -> None:
    """Fit RECIPE on all folds of sources, measure it on sources that its models did not see, and write the model.

    The manifest has the columns source, place, place_name, position and the recipe's fold column. Photos outside the
    folds, such as those marked `test`, are never read.

    \b
    Examples:
      triovision train frozen export efficientnet_lites --manifest data/manifest.csv --cache features \\
          --id efficientnet_lites.mine --describe words.toml
      triovision train frozen export mine.toml --manifest data/manifest.csv --cache features \\
          --set head.components=512 --id mine.places --describe words.toml
    """  # noqa: D301 - click reads the escape
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.export.card import read_description  # noqa: PLC0415
    from triovision.train.frozen.backbones import frozen_network  # noqa: PLC0415
    from triovision.train.frozen.cross_fit import fold_rows  # noqa: PLC0415
    from triovision.train.frozen.features import frozen_features  # noqa: PLC0415
    from triovision.train.frozen.run import export_frozen_model, fit_frozen_model  # noqa: PLC0415
    from triovision.train.recipes.frozen_recipe import RECIPES  # noqa: PLC0415

    recipe, description = RECIPES.read(recipe_name, overrides), read_description(target["describe"])
    columns = ["source", "place", "place_name", "position", recipe.fold_column]
    photos = read_manifest(manifest, root, columns)
    photos = photos.where(fold_rows(photos, recipe))
    with resumable():
        with tqdm(total=len(photos), desc="features", unit="photo", disable=None) as bar:
            backbones = frozen_network(recipe.architecture, weights, 2)
            features, readable = frozen_features(backbones, recipe.preprocessing, photos, cache, bar.update)
        with tqdm(total=int(readable.sum()), desc="predictions", unit="photo", disable=None) as bar:
            model = fit_frozen_model(recipe, photos.where(readable), features[readable], click.echo, bar.update)
        network = frozen_network(recipe.architecture, weights, len(model.data.labels))
        folder = export_frozen_model(model, network, description, target["model_id"], target["models"], command_line())
    for name, value in model.metrics.items():
        click.echo(f"{name}: {'-' if value is None else f'{value:.4g}'}")
    click.echo(f"wrote {folder}")
