"""Where a run is computed, and Lightning's trainer for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from triovision.errors import RecipeError
from triovision.train.data.sharing import RankInfo
from triovision.train.engine.averaging import MovingAverage
from triovision.train.engine.callbacks import AtomicCheckpointIO
from triovision.train.engine.compiling import Compile
from triovision.train.engine.country_module import LOG_EVERY
from triovision.train.engine.progress import EpochLines, RunBar
from triovision.train.engine.stopping import StopEarly
from triovision.train.recipes.sections import RunRecipe


@dataclass(frozen=True, slots=True)
class Execution:
    """Where a run is computed: no part of the recipe, because it changes the result by rounding only.

    Attributes:
        accelerator: `auto` takes a GPU where there is one.
        devices: Devices of each machine; each has its own process and its part of every batch.
        nodes: Machines. Each is given the same command, with `NODE_RANK`, `MASTER_ADDR` and `MASTER_PORT` in its
            environment or under `torchrun` or SLURM; all of them see the run's folder.
        strategy: How several processes share the work: `ddp`, which `auto` takes for more than one.
        compiled: Compile the network with `torch.compile`.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    compiled: bool = False

    def trainer(self, recipe: RunRecipe, folder: Path, steps: int, callbacks: Sequence[Callback]) -> lightning.Trainer:
        """Lightning's trainer of a run.

        Args:
            recipe: What to train and how.
            folder: Folder of the run, for the logs.
            steps: Optimiser steps an epoch.
            callbacks: What acts on the loop beside what every run has.

        Raises:
            RecipeError: If this machine has no such devices, or Lightning does not know the precision.
        """
        o = recipe.optimisation
        bar = sys.stdout.isatty()
        try:
            return lightning.Trainer(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.nodes,
                strategy=self.strategy,
                max_epochs=o.epochs,
                precision=o.precision,  # type: ignore[arg-type] # the recipe's words are Lightning's
                gradient_clip_val=o.clip_norm,
                accumulate_grad_batches=o.accumulation,
                logger=loggers(folder),
                callbacks=[
                    StopEarly(o.min_epochs, o.patience),
                    *([MovingAverage(o.ema_decay)] if o.ema_decay else []),
                    Timer(verbose=False),  # its time is kept in the checkpoints
                    *([Compile()] if self.compiled else []),
                    RunBar() if bar else EpochLines(),
                    *callbacks,
                ],
                plugins=[AtomicCheckpointIO()],
                enable_progress_bar=bar,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                log_every_n_steps=min(LOG_EVERY, steps),
                use_distributed_sampler=False,  # our loaders share the photos themselves
            )
        except (MisconfigurationException, ValueError) as exc:
            remedy = "Check --accelerator, --devices, --nodes, --strategy and `optimisation.precision`"
            raise RecipeError(recipe.name, f"cannot be trained as asked ({str(exc).strip()})", remedy) from exc


def loggers(folder: Path) -> list[Logger]:
    """CSV, and TensorBoard's format beside it where `tensorboard` is installed; a new version each time.

    A resumed run keeps its first figures so.
    """
    table = CSVLogger(folder, name="logs", flush_logs_every_n_steps=LOG_EVERY)
    if find_spec("tensorboard") is None:
        return [table]
    return [table, TensorBoardLogger(folder, name="logs", version=table.version, default_hp_metric=False)]


def rank_info(trainer: lightning.Trainer) -> RankInfo:
    """This process among those of a run."""
    return RankInfo(trainer.global_rank, trainer.world_size)
