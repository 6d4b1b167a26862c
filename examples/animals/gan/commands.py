"""Command group `gan`: train a DCGAN on the photos of one class and evaluate it, make pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triovision.cli.commands import Commands
from triovision.cli.train.options import FILE, FOLDER, OVERRIDES, out_option
from triovision.extras import require


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def gan() -> None:
    """Pictures of one class, made by a DCGAN."""
    require("train")


@gan.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder with a subfolder of photos for each class, or a manifest (CSV or Parquet).",
)
@click.option("--weights", multiple=True, type=FILE, help="Weights of the backbone that evaluates; timm's by default.")
@OVERRIDES
@out_option("run")
@click.option("--workers", default=2, type=click.IntRange(min=0), help="Processes that decode photos.")
@click.option("--max-unreadable", default="1%", help="Largest number or percentage of unreadable photos.")
@click.option("--save-every", default=200, type=click.IntRange(min=1), help="Steps between two checkpoints.")
def run(
    recipe_name: str,
    data: Path,
    weights: tuple[Path, ...],
    overrides: tuple[str, ...],
    out: Path,
    **options: Any,  # noqa: ANN401 - the other options, for `ReadOptions`
) -> None:
    """Train RECIPE (dcgan, towers or a TOML file) and evaluate it. Stop it at any time; the same command resumes it.

    \b
    Examples:
      python -m examples.animals gan run dcgan --data photos --set data.values=fox --out runs/foxes
      python -m examples.animals gan run towers --data data/manifest.csv --weights lite0.safetensors --out runs/towers
    """  # noqa: D301 - click reads the escape
    from examples.animals.gan.recipe import RECIPES  # noqa: PLC0415
    from examples.animals.gan.report import COLUMNS, score_rows, write_gan_report  # noqa: PLC0415
    from examples.animals.gan.run import run_gan  # noqa: PLC0415
    from examples.animals.photos import read_photos  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.train.data.loaders import ReadOptions  # noqa: PLC0415
    from triovision.train.engine.trainer import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    recipe = RECIPES.read(recipe_name, overrides)
    outcome = run_gan(recipe, read_photos(data, recipe.data.column), out, weights, ReadOptions(**options))
    metrics = outcome.metrics
    judged = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in metrics.judge.items())
    click.echo(f"{metrics.training_photos} training photos; the classifier on held-out photos: {judged}")
    by_epoch = {f"… after epoch {epoch}": scores for epoch, scores in metrics.by_epoch.items()}
    for row in (COLUMNS, *score_rows(metrics.scores | by_epoch)):
        click.echo(" | ".join(map(str, row)))
    click.echo(f"wrote {write_gan_report(out, recipe, outcome)}")


@gan.command()
@click.argument("folder", metavar="RUN", type=FOLDER)
@click.option("--out", required=True, type=FILE, help="PNG file of the grid.")
@click.option("--number", default=64, type=click.IntRange(min=1), help="Number of pictures.")
@click.option("--seed", default=0, help="Seed of the latent vectors.")
def sample(folder: Path, out: Path, number: int, seed: int) -> None:
    """Make new pictures with the generator of RUN, a finished run."""
    from examples.animals.gan.run import read_generator  # noqa: PLC0415 - `--help` must not wait for torch
    from examples.animals.gan.training import make_pictures, picture_grid  # noqa: PLC0415
    from triovision.files import atomic_path  # noqa: PLC0415

    grid = picture_grid(make_pictures(read_generator(folder), number, seed))
    with atomic_path(out) as part:
        grid.save(part, format="PNG")
    click.echo(f"wrote {out}")
