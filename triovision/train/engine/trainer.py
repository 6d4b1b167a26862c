"""Lightning trainer of a run: devices, loggers, callbacks and the memory allocator."""

from __future__ import annotations

import ctypes
import logging
import platform
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from triovision.errors import RecipeError
from triovision.train.data.samplers import RankInfo
from triovision.train.engine.callbacks import AtomicCheckpointIO, Compile, StopEarly
from triovision.train.engine.country_module import LOG_EVERY
from triovision.train.engine.optim import MovingAverage
from triovision.train.engine.progress import EpochLines, RunBar
from triovision.train.recipes.sections import RunRecipe

# Lightning praises a product of its own at each start, uses what torch has deprecated, and takes the checkpoints of a
# resumed run for a mistake: nothing to tell a user.
logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
    lambda record: "litlogger" not in record.getMessage()
)
warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty", UserWarning)


@dataclass(frozen=True, slots=True)
class TrainerOptions:
    """Devices and machines of a run. They are not part of the recipe, because they change the result by rounding only.

    Attributes:
        accelerator: `auto` selects a GPU if present.
        devices: Devices of each machine; each has its own process and its part of every batch.
        nodes: Number of machines. Each runs the same command, with `NODE_RANK`, `MASTER_ADDR` and `MASTER_PORT` in
            its environment or under `torchrun` or SLURM, and sees the same run folder.
        strategy: Lightning's strategy; `auto` selects `ddp` for more than one process.
        compiled: Compile the network with `torch.compile`.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    compiled: bool = False

    def build(self, recipe: RunRecipe, folder: Path, steps: int, callbacks: Sequence[Callback]) -> lightning.Trainer:
        """Build the trainer of a run.

        Args:
            recipe: Recipe of the run.
            folder: Folder of the run, for the logs.
            steps: Optimiser steps an epoch.
            callbacks: Further callbacks, after those of every run.

        Raises:
            RecipeError: If this machine lacks the devices, or Lightning does not know the precision.
        """
        o = recipe.optimisation
        average = [MovingAverage(o.ema_decay)] if o.ema_decay else []
        return self.build_plain(
            recipe.name,
            folder,
            o.epochs,
            steps,
            [StopEarly(o.min_epochs, o.patience), *average, *callbacks],
            precision=o.precision,
            gradient_clip_val=o.clip_norm,
            accumulate_grad_batches=o.accumulation,
        )

    def build_plain(
        self,
        name: str,
        folder: Path,
        epochs: int,
        steps: int,
        callbacks: Sequence[Callback],
        **arguments: Any,  # noqa: ANN401 - Lightning's
    ) -> lightning.Trainer:
        """Build a trainer with the logs, the progress and the checkpoints of every run, without early stopping.

        Args:
            name: Name of the run, for messages.
            folder: Folder of the run, for the logs.
            epochs: Number of epochs.
            steps: Optimiser steps an epoch.
            callbacks: Callbacks of the run.
            arguments: Further arguments of Lightning's `Trainer`, such as the precision.

        Raises:
            RecipeError: If this machine lacks the devices, or Lightning does not know the precision.
        """
        bar = sys.stdout.isatty()
        try:
            return lightning.Trainer(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=self.nodes,
                strategy=self.strategy,
                max_epochs=epochs,
                logger=loggers(folder),
                callbacks=[
                    Timer(verbose=False),  # checkpoints hold its time
                    *([Compile()] if self.compiled else []),
                    RunBar() if bar else EpochLines(),
                    *callbacks,
                ],
                plugins=[AtomicCheckpointIO()],
                enable_progress_bar=bar,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                log_every_n_steps=min(LOG_EVERY, steps),
                use_distributed_sampler=False,  # our batch samplers divide the photos
                **arguments,
            )
        except (MisconfigurationException, ValueError) as exc:
            remedy = "Check --accelerator, --devices, --nodes, --strategy and `optimisation.precision`"
            raise RecipeError(name, f"cannot be trained with these options ({str(exc).strip()})", remedy) from exc


def loggers(folder: Path) -> list[Logger]:
    """Loggers of a run: CSV, and TensorBoard if `tensorboard` is installed.

    Each start of a run has a new version, so that a resumed run keeps its first logs.
    """
    table = CSVLogger(folder, name="logs", flush_logs_every_n_steps=LOG_EVERY)
    if find_spec("tensorboard") is None:
        return [table]
    return [table, TensorBoardLogger(folder, name="logs", version=table.version, default_hp_metric=False)]


def rank_info(trainer: lightning.Trainer) -> RankInfo:
    """Rank of this process and size of the world."""
    return RankInfo(trainer.global_rank, trainer.world_size)


# Parameters of mallopt(3), in glibc's <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_TOP_PAD_BYTES = 1 << 28


def keep_freed_memory() -> None:
    """Make glibc keep freed memory in the process; does nothing with another C library.

    By default glibc maps each large block anew and the system clears its pages, which slows the large tensors of a
    training step on a CPU: `benchmarks/freed_memory.py` measures by how much.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, _TOP_PAD_BYTES)
