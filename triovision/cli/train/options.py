"""Options that several training commands share, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from triovision.train.manifest import Manifest
    from triovision.train.recipe import Recipe

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
MANIFEST_PATH = click.Path(path_type=Path)

MANIFEST = click.option(
    "--manifest", required=True, type=click.Path(path_type=Path), envvar="TRIOVISION_MANIFEST", help="Table of photos."
)
ROOT = click.option("--root", type=FOLDER, help="Folder of the files; the manifest's by default.")
WEIGHTS = click.option("--weights", type=FILE, help="Starting weights (safetensors); timm's own by default.")
WORKERS = click.option("--workers", default=2, type=click.IntRange(min=0), help="Processes that decode photos.")
OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.FIELD=VALUE",
    help="Replace a field of the recipe, as in TOML: optimisation.epochs=3. May be given many times.",
)


def inputs(
    recipe_name: str, manifest: Path, root: Path | None, overrides: Sequence[str] = ()
) -> tuple[Recipe, Manifest]:
    """The recipe, and the manifest with the columns that it needs."""
    from triovision.train.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.recipe import read_recipe  # noqa: PLC0415

    recipe = read_recipe(recipe_name, overrides)
    return recipe, read_manifest(manifest, root, ["place", *recipe.data.validation_splits])
