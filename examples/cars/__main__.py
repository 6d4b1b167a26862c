"""Commands of the study: `python -m examples.cars generate|run|places`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from tqdm import tqdm

from triovision.cli.commands import Commands
from triovision.cli.train.options import OVERRIDES, WEIGHTS, loading_options, out_option
from triovision.cli.train.studies import resumable
from triovision.extras import require

if TYPE_CHECKING:
    import pandas as pd

    from triovision.train.data.manifest import Manifest
    from triovision.train.recipes.country_recipe import Recipe

RECIPES: Final = Path(__file__).with_name("recipes")
OWN_RECIPES: Final = ("v1", "v2", "places")
MANIFEST: Final = "manifest.csv"
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)


def _study_options(*recipes: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options of the commands that train."""
    listed = " and ".join(recipes)
    recipe = click.option(
        "--recipe", "recipes", multiple=True, metavar="NAME|FILE", help=f"Recipe to train; may be repeated. [{listed}]"
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (loading_options, WEIGHTS, OVERRIDES, recipe, out_option("study")):
            command = option(command)
        return command

    return decorate


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Which of 196 makes and models is this car?"""
    require("train")


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write.")
@click.option("--classes", default=8, type=click.IntRange(2, 8))
@click.option("--train", default=20, type=click.IntRange(min=7), help="Training photos of each class.")
@click.option("--test", default=5, type=click.IntRange(min=1), help="Test photos of each class.")
@click.option("--seed", default=0, type=click.IntRange(min=0))
def generate(out: Path, classes: int, train: int, test: int, seed: int) -> None:
    """Draw a miniature in the layout of Stanford Cars."""
    from examples.cars.miniature import write_miniature  # noqa: PLC0415 - `--help` must not wait for SciPy

    write_miniature(out, classes, train, test, seed)
    click.echo(f"wrote {classes * (train + test)} photos to {out}")


@main.command()
@click.option("--data", required=True, type=_FOLDER, help="Folder of Stanford Cars, or of a miniature.")
@click.option("--skip-faulty", is_flag=True, help="Leave faulty photos out, listed in faulty.csv, instead of an error.")
@_study_options("v1", "v2")
def run(data: Path, skip_faulty: bool, **options: Any) -> None:  # noqa: ANN401 - options of the study
    """Train the two versions on Stanford Cars and write report.html.

    Stop it at any time; the same command continues.
    """
    from examples.cars.devkit import read_cars, write_cars  # noqa: PLC0415 - `--help` must not wait for pandas

    recipes = _read_recipes(options, "v1", "v2")
    with tqdm(unit="photo", desc="reading headers", disable=None) as bar:
        cars = read_cars(data, skip_faulty=skip_faulty, on_photo=bar.update)
    out: Path = options["out"]
    photos = write_cars(cars, out / MANIFEST)
    if len(cars.faulty):
        click.echo(f"left out {len(cars.faulty)} faulty photos, listed in {out / 'faulty.csv'}", err=True)
    _study("Cars", photos, cars.headers, recipes, options)


@main.command()
@click.option("--data", type=_FOLDER, help="Folder with manifest.csv. [TRIOVISION_DATA]")
@click.option("--fold", default="2", help="Fold of split_new_sources whose sources are not seen in training.")
@_study_options("places")
def places(data: Path | None, fold: str, **options: Any) -> None:  # noqa: ANN401 - options of the study
    """Train the second version on places in place of cars, and write report.html.

    Stop it at any time; the same command continues.
    """
    from examples.cars.places import write_places  # noqa: PLC0415 - `--help` must not wait for pandas
    from triovision.train.data.statistics import read_headers  # noqa: PLC0415

    folder = data or os.environ.get("TRIOVISION_DATA")
    if folder is None:
        raise click.UsageError("Give --data, or set TRIOVISION_DATA.")
    recipes = _read_recipes(options, "places")
    with resumable(), tqdm(unit="photo", desc="looking for near-duplicates", disable=None) as bar:
        photos = write_places(Path(folder), options["out"] / MANIFEST, fold, options["workers"], bar.update)
    with tqdm(unit="photo", desc="reading headers", total=len(photos), disable=None) as bar:
        headers = read_headers(photos, bar.update)
    _study("Places as classes", photos, headers, recipes, options)


def _study(
    title: str,
    photos: Manifest,
    headers: pd.DataFrame,
    recipes: Sequence[Recipe],
    options: dict[str, Any],
) -> None:
    """Train, measure and report; the options are the others of `_study_options`."""
    from examples.cars.report import write_report  # noqa: PLC0415 - `--help` must not wait for torch
    from examples.cars.study import run_study  # noqa: PLC0415
    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415
    from triovision.train.engine.trainer import keep_freed_memory  # noqa: PLC0415

    out, weights = options.pop("out"), options.pop("weights")
    keep_freed_memory()
    with resumable():
        measured = run_study(recipes, photos, out, weights, LoadOptions(**options), click.echo)
    click.echo(f"wrote {write_report(out, title, measured, photos, headers)}")


def _read_recipes(options: dict[str, Any], *default: str) -> list[Recipe]:
    """Read the chosen recipes, before anything that takes time; they leave the options of `_study_options`."""
    from triovision.train.recipes.country_recipe import read_recipe  # noqa: PLC0415 - `--help` must not wait for torch

    overrides = options.pop("overrides")
    return [read_recipe(_recipe_path(name), overrides) for name in options.pop("recipes") or default]


def _recipe_path(name_or_path: str) -> str:
    """Path of a recipe of this example by its name, else what was given."""
    if name_or_path in OWN_RECIPES:
        return str(RECIPES / f"{name_or_path}.toml")
    if not Path(name_or_path).is_file():
        listed = f"{', '.join(OWN_RECIPES[:-1])} and {OWN_RECIPES[-1]}"
        raise click.BadParameter(f"{name_or_path!r} is no file, and none of {listed}", param_hint="--recipe")
    return name_or_path


if __name__ == "__main__":
    main()
