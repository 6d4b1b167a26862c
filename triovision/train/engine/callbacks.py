"""Lightning callbacks: atomic checkpoints, mid-epoch resume, step seeds, finite-loss guard, early stopping, compile."""

from __future__ import annotations

import copy
import io
import json
import logging
import math
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from torch import Tensor

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.engine.country_module import CountryModule

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint only when the new one is written."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ANN401, ARG002 - Lightning's signature
        """Write a checkpoint.

        Raises:
            RecipeError: If it cannot be written; the existing file is unchanged.
        """
        buffer = io.BytesIO()  # torch does not raise an OSError where the disk is full; writing the bytes does
        torch.save(checkpoint, buffer)
        try:
            atomic_write(Path(path), buffer.getbuffer())
        except OSError as exc:
            reason = f"cannot be written ({exc.strerror or exc}); the checkpoint before it is kept"
            raise RecipeError(str(path), reason, "Free some space and run the same command again to resume") from exc


class StepCheckpoint(Checkpoint):
    """Writes `resume.ckpt` within an epoch and `last.ckpt` at the end of an epoch.

    `resume.ckpt` is written after the first step of each epoch and then every `every` steps, but not after the last
    step of an epoch, because Lightning would resume from there without validation. Runs resume from it and validate
    again: Lightning does not pass a validation loss from before the kill to `ReduceLROnPlateau`. `last.ckpt` is
    written after every epoch, Lightning's own only after the best ones.

    Args:
        folder: Folder of both files.
        every: Optimiser steps between two `resume.ckpt`.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002 - Lightning's signature, here and below
        """Set the modes of the layers, because Lightning skips `on_train_epoch_start` where it resumes mid-epoch."""
        pl_module.on_train_epoch_start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        outputs: object,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Write `resume.ckpt` every so many steps, never between accumulated batches."""
        step, rest = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        if rest or batch_idx + 1 >= trainer.num_training_batches:
            return
        if step == 1 or step % self.every == 0:
            trainer.save_checkpoint(self.folder / "resume.ckpt", weights_only=False)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Write `last.ckpt`, after the callback of the best checkpoint, whose state it holds."""
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)


class StepSeed(Callback):
    """Seeds each step by the recipe's seed, the epoch, the batch and the rank: a resumed step draws the same numbers.

    Args:
        seed: Seed of the recipe.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Seed dropout and the like."""
        state = np.random.SeedSequence((self.seed, trainer.current_epoch, batch_idx, trainer.global_rank))
        torch.manual_seed(int(state.generate_state(1, np.uint64)[0]))


class FiniteLossGuard(Callback):
    """Stops a run that diverges or that cannot read its photos, in all processes at the same step.

    One process that stopped alone would leave the others waiting for it.

    Args:
        run_config: File of the run config, which every checkpoint holds a copy of.
        unreadable: List of the photos that could not be read.
    """

    def __init__(self, run_config: Path, unreadable: UnreadablePhotos) -> None:
        self.run_config = run_config
        self.unreadable = unreadable

    def on_before_backward(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        loss: Tensor,
    ) -> None:
        """Check the loss before it reaches the weights, and the number of unreadable photos.

        Raises:
            RecipeError: If the loss is NaN or infinite in any process, or too many photos are unreadable.
        """
        over_limit = torch.tensor(float(self.unreadable.too_many()), device=loss.device)
        local = torch.stack([loss.detach().float(), over_limit])  # one reduction for both
        total, too_many = trainer.strategy.reduce(local, reduce_op="sum").tolist()
        if not math.isfinite(total):
            self._diverged(trainer, f"the loss is {total}")
        if too_many:
            self.unreadable.check()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Check the number of unreadable photos.

        Raises:
            RecipeError: If too many photos are unreadable.
        """
        if trainer.strategy.reduce_boolean_decision(self.unreadable.too_many(), all=False):
            self.unreadable.check()

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Check the weights and their moving average, and add the run config.

        Raises:
            RecipeError: If a weight is NaN or infinite.
        """
        saved = (*pl_module.state_dict().values(), *checkpoint["state_dict"].values())
        if not all(torch.isfinite(weights).all() for weights in saved):
            self._diverged(trainer, "a weight is not finite")
        checkpoint["triovision"] = json.loads(self.run_config.read_text(encoding="utf-8"))

    def _diverged(self, trainer: lightning.Trainer, reason: str) -> None:
        rate = trainer.optimizers[0].param_groups[-1]["lr"]
        where = f"Step {trainer.global_step} (epoch {trainer.current_epoch + 1}, learning rate {rate:.3g})"
        remedy = "Lower `optimisation.learning_rate` in a new run; the last good checkpoint is kept"
        raise RecipeError(where, reason, remedy)


class StopEarly(EarlyStopping):
    """Early stopping on the validation loss, never before `min_epochs`.

    Lightning's own `min_epochs` only postpones a stop: a run whose loss improves in the meantime ends there all the
    same.

    Args:
        min_epochs: Smallest number of epochs.
        patience: Epochs without a lower loss.
    """

    def __init__(self, min_epochs: int, patience: int) -> None:
        super().__init__("val/loss", patience=patience)
        self.min_epochs = min_epochs

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take a stop back that comes before `min_epochs`."""
        super().on_train_epoch_end(trainer, pl_module)
        # A loss that is not finite stops the run at once, and leaves `wait_count` as it was.
        if trainer.current_epoch + 1 < self.min_epochs and self.wait_count >= self.patience:
            trainer.should_stop = False


class Compile(Callback):
    """Compiles the network of a country run before the first step, if a trial on a copy succeeds.

    It is compiled in place, which keeps the names of its weights. The trial draws random numbers, so `StepSeed` has to
    come after this callback.
    """

    def __init__(self) -> None:
        self._tried = False

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,  # noqa: ANN401 - Lightning's signature
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Try one forward and backward pass of a compiled copy, and compile the network if it succeeds."""
        if self._tried or not isinstance(pl_module, CountryModule):
            return
        self._tried = True
        torch.compiler.reset()  # torch limits how often it compiles a function, and earlier runs count
        trial = copy.deepcopy(pl_module.network)
        trial.compile()
        try:
            with trainer.precision_plugin.train_step_context():
                trial(batch[0]).float().sum().backward()
        except Exception as exc:  # compilers raise errors of many types
            reason = str(exc).strip().partition("\n")[0]
            log.warning("the network cannot be compiled here and is trained uncompiled (%s)", reason)
        else:
            pl_module.network.compile()
