"""Options that several training commands share, and readers of their recipe and manifest."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from triovision.train.data.manifest import Manifest
    from triovision.train.recipes.country_recipe import Recipe
    from triovision.train.recipes.position_recipe import PositionRecipe
    from triovision.train.recipes.reader import RecipeReader

R = TypeVar("R", "Recipe", "PositionRecipe")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

MANIFEST = click.option(
    "--manifest",
    required=True,
    type=click.Path(path_type=Path),
    envvar="TRIOVISION_MANIFEST",
    help="Table of the photos (CSV or Parquet).",
)
ROOT = click.option("--root", type=FOLDER, help="Folder of the photos; the manifest's folder by default.")
WEIGHTS = click.option("--weights", type=FILE, help="Initial weights (safetensors); timm's weights by default.")
DEVICE = click.option("--device", help="cpu, cuda, cuda:1 or mps; the fastest present by default.")
WORKERS = click.option("--workers", default=2, type=click.IntRange(min=0), help="Processes that decode photos.")
OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.FIELD=VALUE",
    help="Replace a field of the recipe, in TOML: optimisation.epochs=3. May be repeated.",
)
_READING = (
    WORKERS,
    click.option("--max-unreadable", default="1%", help="Largest number or percentage of unreadable photos."),
    click.option(
        "--save-every", default=200, type=click.IntRange(min=1), help="Steps between two checkpoints within an epoch."
    ),
)
_LOADING = (
    click.option("--cache", type=FOLDER, help="Folder of cached images, shared by runs; no cache by default."),
    click.option(
        "--cache-side",
        type=click.IntRange(min=32),
        help="Shorter side of cached images; by default the one that the recipe needs.",
    ),
    click.option(
        "--augmented-copies",
        default=0,
        type=click.IntRange(min=0),
        help="Augmented copies of each photo whose frozen features are cached; 0: no feature cache.",
    ),
    *_READING,
)
WHERE = click.option(
    "--where", multiple=True, metavar="COLUMN=VALUE", help="Use only rows with this value. May be repeated."
)


def loading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `LoadOptions`; `--cache` holds images."""
    return _with(_LOADING, command)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `ReadOptions`; `--cache` holds frozen features."""
    cache = click.option(
        "--cache", type=FOLDER, help="Folder of cached frozen features, shared by runs; a folder in --out by default."
    )
    return _with((cache, *_READING), command)


@dataclass(frozen=True, slots=True)
class RecipeInputs:
    """The argument RECIPE of a command, with its overrides, the manifest and the initial weights."""

    recipe_name: str
    manifest: Path
    root: Path | None
    weights: Path | None
    overrides: tuple[str, ...]

    def read(self, reader: RecipeReader[R]) -> tuple[R, Manifest]:
        """Read the recipe, and the manifest with the columns that it needs."""
        from triovision.train.data.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for torch

        recipe: R = reader.read(self.recipe_name, self.overrides)
        return recipe, read_manifest(self.manifest, self.root, manifest_columns(recipe), recipe.label_column)


def manifest_columns(recipe: Recipe | PositionRecipe) -> list[str]:
    """Columns that a run reads beside the label; only countries need places."""
    return [*(["place"] if recipe.label_column == "country" else []), *recipe.data.validation_splits]


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `RecipeInputs`, which the command gets as its argument `inputs`."""

    @wraps(command)
    def with_inputs(
        recipe_name: str,
        manifest: Path,
        root: Path | None,
        weights: Path | None,
        overrides: tuple[str, ...],
        **options: Any,  # noqa: ANN401 - the other options of the command
    ) -> object:
        return command(inputs=RecipeInputs(recipe_name, manifest, root, weights, overrides), **options)

    recipe = click.argument("recipe_name", metavar="RECIPE")
    return _with((recipe, MANIFEST, ROOT, WEIGHTS, OVERRIDES), with_inputs)


def out_option(content: str) -> Decorator:
    """`--out`: folder of a run, of a study or of several runs, which the same command resumes."""
    return click.option(
        "--out", required=True, type=FOLDER, help=f"Folder of the {content}; an unfinished one is resumed."
    )


def _with(options: Sequence[Decorator], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def photos_where(
    manifest: Path, root: Path | None, where: Sequence[str], label_column: str = "country"
) -> tuple[Manifest, Manifest]:
    """Read a manifest; returns it and its rows that meet every `COLUMN=VALUE`."""
    from triovision.train.data.manifest import read_manifest  # noqa: PLC0415 - `--help` must not wait for pandas

    conditions = [condition.partition("=") for condition in where]
    if not all(column and equals for column, equals, _ in conditions):
        raise click.UsageError("Give --where as COLUMN=VALUE, such as split_new_places=val.")
    every = chosen = read_manifest(manifest, root, [column for column, _, _ in conditions], label_column)
    for column, _, value in conditions:
        chosen = chosen.where(chosen.table[column] == value)
    if not len(chosen):
        raise click.UsageError(f"No photo of {manifest} has {' and '.join(where)}.")
    return every, chosen


def command_line() -> str:
    """Return the running command as a shell would take it, absolute paths shortened to their names."""
    return shlex.join(["triovision", *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])])
