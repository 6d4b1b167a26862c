"""Commands that list the country recipes and train one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from triovision.cli.train.options import (
    FOLDER,
    RecipeInputs,
    loading_options,
    out_option,
    recipe_options,
)


@click.command()
def recipes() -> None:
    """List the country recipes.

    \b
    Examples:
      triovision train recipes
      triovision train recipes | grep focal
    """  # noqa: D301 - click reads the escape
    from triovision.train.recipes.country_recipe import read_recipe, recipe_names  # noqa: PLC0415 - `--help` must not wait for torch

    for name in recipe_names():
        click.echo(f"{name}: {read_recipe(name).description}")


@click.command()
@recipe_options
@out_option("run")
@click.option("--finetune-from", type=FOLDER, help="Finished run to fine-tune, last layer included.")
@loading_options
@click.option("--accelerator", default="auto", type=click.Choice(["auto", "cpu", "gpu"]), help="auto: GPU if present.")
@click.option("--devices", default=1, type=click.IntRange(min=1), help="Devices (CPU: processes) per machine.")
@click.option("--nodes", default=1, type=click.IntRange(min=1), help="Machines; each runs the same command.")
@click.option("--strategy", default="auto", type=click.Choice(["auto", "ddp"]), help="Strategy of several devices.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network if this machine can.")
def run(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    inputs: RecipeInputs,
    out: Path,
    finetune_from: Path | None,
    accelerator: Literal["auto", "cpu", "gpu"],
    devices: int,
    nodes: int,
    strategy: Literal["auto", "ddp"],
    compiled: bool,
    **loading: Any,  # noqa: ANN401 - the other options, for `LoadOptions`
) -> None:
    """Train RECIPE, a name or a TOML file. Stop it at any time; the same command resumes it.

    The folder of the run holds its metrics as CSV, and for TensorBoard if the package tensorboard is installed.

    Several devices or machines divide each batch of the recipe. Each machine runs the command with NODE_RANK,
    MASTER_ADDR and MASTER_PORT in its environment, or under torchrun or SLURM.

    \b
    Examples:
      triovision train run own_photos --manifest holiday/manifest.csv --out runs/holiday
      triovision train run tf_efficientnet_lite0 --manifest data/manifest.csv --set loss.name=focal --out runs/focal
    """  # noqa: D301 - click reads the escape
    from lightning.pytorch.utilities import rank_zero_only  # noqa: PLC0415 - `--help` must not wait for torch

    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415
    from triovision.train.engine.run import train_country  # noqa: PLC0415
    from triovision.train.engine.run_folder import read_country_run  # noqa: PLC0415
    from triovision.train.engine.trainer import TrainerOptions, keep_freed_memory  # noqa: PLC0415
    from triovision.train.recipes.country_recipe import RECIPES  # noqa: PLC0415

    if inputs.weights is not None and finetune_from is not None:
        raise click.UsageError("Give --weights or --finetune-from, not both.")
    init_from = read_country_run(finetune_from) if finetune_from else inputs.weights
    recipe, photos = inputs.read(RECIPES)
    keep_freed_memory()
    trainer_options = TrainerOptions(accelerator, devices, nodes, strategy, compiled)
    options = LoadOptions(**loading)
    finished = train_country(recipe, photos, out, init_from, options, trainer_options)
    rank_zero_only(click.echo)(f"finished weights: {finished}")
