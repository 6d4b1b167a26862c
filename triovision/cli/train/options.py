"""Options that several training commands share, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from triovision.train.data.manifest import Manifest
    from triovision.train.recipes.country_recipe import Recipe

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
_READING = (
    click.option("--max-unreadable", default="1%", help="Most photos that may be unreadable: a number or a share."),
    click.option(
        "--save-every", default=200, type=click.IntRange(min=1), help="Steps between two checkpoints to resume."
    ),
)
_LOADING = (
    click.option("--cache", type=FOLDER, help="Folder to keep decoded pictures in, shared by runs; none by default."),
    click.option(
        "--cache-side", type=click.IntRange(min=32), help="Shorter side of kept pictures; as the recipe needs."
    ),
    click.option(
        "--views", default=0, type=click.IntRange(min=0), help="Views whose frozen features are kept; 0: none."
    ),
    *_READING,
)
WHERE = click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only rows with this value; repeatable.")


def loading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that fill `LoadOptions`, beside `WORKERS`."""
    return _with(_LOADING, command)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that fill `ReadOptions`, `WORKERS` included; what the frozen part gives is kept in any case."""
    cache = click.option(
        "--cache", type=FOLDER, help="Folder to keep frozen features in, shared by runs; one in --out by default."
    )
    return _with((WORKERS, cache, *_READING), command)


def _with(options: Sequence[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def inputs(
    recipe_name: str, manifest: Path, root: Path | None, overrides: Sequence[str] = ()
) -> tuple[Recipe, Manifest]:
    """The recipe, and the manifest with the columns that it needs."""
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.recipes.country_recipe import read_recipe  # noqa: PLC0415

    recipe = read_recipe(recipe_name, overrides)
    return recipe, read_manifest(manifest, root, ["place", *recipe.data.validation_splits])


def photos_where(manifest: Path, root: Path | None, where: Sequence[str]) -> tuple[Manifest, Manifest]:
    """A manifest, and its rows that meet every `COLUMN=VALUE`."""
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for pandas

    conditions = [condition.partition("=") for condition in where]
    if not all(column and equals for column, equals, _ in conditions):
        raise click.UsageError("Give --where as COLUMN=VALUE, such as split_new_places=val.")
    every = chosen = read_manifest(manifest, root, [column for column, _, _ in conditions])
    for column, _, value in conditions:
        chosen = chosen.where(chosen.table[column] == value)
    if not len(chosen):
        raise click.UsageError(f"No photo of {manifest} has {' and '.join(where)}.")
    return every, chosen
