"""Commands of the study: `python -m examples.relations generate|run|compare|predict`."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from triovision.cli.commands import Commands
from triovision.cli.terminal import one_line
from triovision.cli.train.options import OVERRIDES
from triovision.cli.train.studies import resumable
from triovision.extras import require
from triovision.files import atomic_write

if TYPE_CHECKING:
    from examples.relations.annotations import Annotations

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_OUT = click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write.")
_WEIGHTS = click.option(
    "--weights", type=_FILE, help="Weights of the backbone, safetensors; by default, timm fetches some."
)
_SHOWN_PROBLEMS: Final = 20
#: The study, its four changes undone one by one and all at once, and one branch of the network at a time.
_TABLE = (
    *("study", "small_backbone", "unweighted", "no_oversampling", "constant_rate", "before"),
    *("spatial_only", "visual_only"),
)


def _data_options(command: Any) -> Any:  # noqa: ANN401 - click's decorators
    """Options of the commands that train."""
    options = (
        click.option("--data", required=True, type=click.Path(exists=True, path_type=Path), help="Annotations."),
        click.option("--images", type=_FOLDER, help="Folder of the pictures, if it is not that of the annotations."),
        _OUT,
        click.option(
            "--cache", type=click.Path(file_okay=False, path_type=Path), help="Features. [default: OUT/cache]"
        ),
        OVERRIDES,
        click.option("--max-unreadable", default="1%", help="Largest number or percentage of unreadable pictures."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Which of ten relations holds between two things in a picture?"""
    require("train")


@main.command()
@_OUT
@click.option("--pairs", default=5000, type=click.IntRange(min=10), help="Pairs, in the published proportions.")
@click.option("--fewest", default=60, type=click.IntRange(min=0), help="Smallest number of pairs of a relation.")
@click.option("--photos", type=_FOLDER, help="Folder with manifest.csv; without it, textures. [TRIOVISION_DATA]")
@click.option("--textures", is_flag=True, help="Textures, although TRIOVISION_DATA is set.")
@click.option("--seed", default=0, type=click.IntRange(min=0))
def generate(out: Path, pairs: int, fewest: int, photos: Path | None, textures: bool, seed: int) -> None:
    """Make a data set of scenes: objects on a background, with relations decided by geometry."""
    from examples.relations.scenes import counts_for, write_scenes  # noqa: PLC0415 - `--help` must not wait

    if photos is None and not textures and os.environ.get("TRIOVISION_DATA"):
        photos = Path(os.environ["TRIOVISION_DATA"])
    counts = counts_for(pairs, fewest)
    click.echo(", ".join(f"{name} {n}" for name, n in counts.items()))
    click.echo(f"annotations: {write_scenes(out, counts, photos, seed)}")


@main.command()
@_data_options
@click.option("--recipe", default="study", help="Name of a recipe of this study, or a TOML file.")
@_WEIGHTS
def run(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    data: Path,
    images: Path | None,
    out: Path,
    cache: Path | None,
    overrides: tuple[str, ...],
    max_unreadable: str,
    recipe: str,
    weights: Path | None,
) -> None:
    """Train one recipe and write metrics.json and report.html.

    Stop it at any time; the same command resumes it.
    """
    from examples.relations.annotations import read_annotations  # noqa: PLC0415
    from examples.relations.metrics import recall_rows, summary  # noqa: PLC0415 - `--help` must not wait for torch
    from examples.relations.recipe import RECIPES  # noqa: PLC0415
    from examples.relations.report import OTHER_DATA, RECALL_COLUMNS  # noqa: PLC0415
    from examples.relations.study import Study  # noqa: PLC0415
    from triovision.train.engine.trainer import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    chosen = RECIPES.read(recipe, overrides)
    study = Study(read_annotations(data, images), cache or out / "cache", max_unreadable=max_unreadable)
    _print_annotations(study.annotations, out)
    with resumable():
        metrics = study.run(chosen, out, weights)
    _print_table(RECALL_COLUMNS, recall_rows(metrics))
    click.echo(f"{summary(metrics)} {OTHER_DATA}\nreport: {out / 'report.html'}")


@main.command()
@_data_options
@click.option("--recipe", "recipes", multiple=True, default=_TABLE, help="Recipe of the table, the study first.")
@click.option(
    "--seed", "seeds", multiple=True, type=click.IntRange(min=0), default=(0, 1, 2), help="Runs of each recipe."
)
@click.option("--backbones", type=_FILE, help="TOML file of other backbones for the recipes: see the README.")
def compare(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    data: Path,
    images: Path | None,
    out: Path,
    cache: Path | None,
    overrides: tuple[str, ...],
    max_unreadable: str,
    recipes: tuple[str, ...],
    seeds: tuple[int, ...],
    backbones: Path | None,
) -> None:
    """Train every recipe with several seeds and write the table.

    Stop it at any time; the same command resumes it.
    """
    from examples.relations.annotations import read_annotations  # noqa: PLC0415
    from examples.relations.metrics import comparison_rows, percent  # noqa: PLC0415
    from examples.relations.recipe import RECIPES, read_backbones  # noqa: PLC0415
    from examples.relations.report import COMPARISON_COLUMNS, OTHER_DATA, write_comparison_page  # noqa: PLC0415
    from examples.relations.study import Study  # noqa: PLC0415
    from triovision.train.engine.trainer import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    read = [RECIPES.read(name, overrides) for name in recipes]
    others = read_backbones(backbones) if backbones else {}
    study = Study(read_annotations(data, images), cache or out / "cache", others, max_unreadable)
    _print_annotations(study.annotations, out)
    runs = []
    with resumable():
        for seed in seeds:  # each recipe once, then each again: the table of one seed comes early
            for recipe in read:
                runs.append(study.run(recipe.model_copy(update={"seed": seed}), out / f"{recipe.name}-{seed}"))
                click.echo(f"{recipe.name}, seed {seed}: accuracy {percent(runs[-1]['accuracy'])}")
            page = write_comparison_page(out, read, runs)
    _print_table(COMPARISON_COLUMNS, comparison_rows(read, runs))
    click.echo(f"{OTHER_DATA}\nreport: {page}")


@main.command()
@click.argument("picture", type=_FILE)
@click.argument("subject", nargs=4, type=float)
@click.argument("object_", metavar="OBJECT...", nargs=4, type=float)
@click.option("--run", "folder", required=True, type=_FOLDER, help="Folder of a finished run.")
@_WEIGHTS
def predict(
    picture: Path, subject: tuple[float, ...], object_: tuple[float, ...], folder: Path, weights: Path | None
) -> None:
    """Print the probability of each relation of SUBJECT to OBJECT: boxes as left, top, right, bottom in pixels."""
    from examples.relations.study import answer  # noqa: PLC0415

    probabilities = answer(folder, picture, subject, object_, weights)
    for name, probability in sorted(probabilities.items(), key=lambda item: -item[1]):
        click.echo(f"{name:9} {probability:6.1%}")


def _print_annotations(annotations: Annotations, out: Path) -> None:
    """Print what is usable and what is not, and why; all of the latter goes to `problems.csv`."""
    click.echo(f"{len(annotations.pairs):,} usable pairs")
    if annotations.false:
        click.echo(f"left out: {annotations.false:,} annotations of relations that do not hold")
    if annotations.left_out:
        listed = ", ".join(f"{name} ({n})" for name, n in annotations.left_out.items())
        click.echo(f"left out, none of the ten relations: {listed}")
    for where, reason in annotations.problems[:_SHOWN_PROBLEMS]:
        click.echo(f"{one_line(where)}: {reason}", err=True)
    if annotations.problems:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("entry", "reason"), *annotations.problems])
        atomic_write(out / "problems.csv", text.getvalue())
        click.echo(f"{len(annotations.problems):,} entries cannot be used: {out / 'problems.csv'}", err=True)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    for row in (columns, *rows):
        click.echo(" | ".join(map(str, row)))


if __name__ == "__main__":
    main(prog_name="python -m examples.relations")
