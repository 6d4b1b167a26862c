"""List the recipes and run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from triovision.cli.train.options import FOLDER, MANIFEST, OVERRIDES, ROOT, WEIGHTS, WORKERS, inputs, loading_options


@click.command()
def recipes() -> None:
    """List the recipes."""
    from triovision.train.recipes.country_recipe import read_recipe, recipe_names  # noqa: PLC0415 - `--help` must not wait for torch

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
@click.option("--finetune-from", type=FOLDER, help="Finished run whose weights, last layer included, to start from.")
@loading_options
@click.option("--accelerator", default="auto", type=click.Choice(["auto", "cpu", "gpu"]), help="auto: a GPU if any.")
@click.option("--devices", default=1, type=click.IntRange(min=1), help="Devices (on a CPU: processes) a machine.")
@click.option("--nodes", default=1, type=click.IntRange(min=1), help="Machines; the command is given on each of them.")
@click.option("--strategy", default="auto", type=click.Choice(["auto", "ddp"]), help="How several devices share work.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network, if this machine can.")
def run(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    recipe_name: str,
    manifest: Path,
    root: Path | None,
    weights: Path | None,
    workers: int,
    overrides: tuple[str, ...],
    out: Path,
    finetune_from: Path | None,
    accelerator: Literal["auto", "cpu", "gpu"],
    devices: int,
    nodes: int,
    strategy: Literal["auto", "ddp"],
    compiled: bool,
    **loading: Any,  # noqa: ANN401 - the other options, as `LoadOptions` takes them
) -> None:
    """Train RECIPE, a name or a TOML file. Kill it at any time and give the same command to go on.

    The run's folder holds its figures as CSV, and for TensorBoard where the package tensorboard is installed.

    With several devices or machines the recipe's batch is shared between them. Each machine is given the command
    with NODE_RANK, MASTER_ADDR and MASTER_PORT in its environment, or by torchrun or SLURM.
    """
    from lightning.pytorch.utilities import rank_zero_only  # noqa: PLC0415 - `--help` must not wait for torch

    from triovision.train.data.loaders import LoadOptions  # noqa: PLC0415
    from triovision.train.engine.run import train_country  # noqa: PLC0415
    from triovision.train.engine.run_folder import read_country_run  # noqa: PLC0415
    from triovision.train.engine.trainer import TrainerOptions, keep_freed_memory  # noqa: PLC0415

    if weights is not None and finetune_from is not None:
        raise click.UsageError("Give --weights or --finetune-from, not both.")
    init_from = read_country_run(finetune_from) if finetune_from else weights
    recipe, photos = inputs(recipe_name, manifest, root, overrides)
    keep_freed_memory()
    trainer_options = TrainerOptions(accelerator, devices, nodes, strategy, compiled)
    options = LoadOptions(workers=workers, **loading)
    finished = train_country(recipe, photos, out, init_from, options, trainer_options)
    rank_zero_only(click.echo)(f"finished weights: {finished}")
