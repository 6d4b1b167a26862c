"""Lightning callbacks: atomic checkpoints, mid-epoch resume, finite-loss guard, early stopping, compilation."""

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


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and then puts it in its place."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ANN401, ARG002 - Lightning's signature
        """Write a checkpoint.

        Raises:
            RecipeError: If it cannot be written; the existing file stays as it was.
        """
        buffer = io.BytesIO()  # torch reports a full disk as an OSError only to whoever writes the bytes
        torch.save(checkpoint, buffer)
        try:
            atomic_write(Path(path), buffer.getbuffer())
        except OSError as exc:
            reason = f"cannot be written ({exc.strerror or exc}); the checkpoint before it is unharmed"
            raise RecipeError(str(path), reason, "Free some space and give the same command to go on") from exc


class StepCheckpoint(Checkpoint):
    """Keeps `resume.ckpt`, from within an epoch, and `last.ckpt`, from the end of one.

    The first is written after the first step of each epoch and every so many steps, but not after an epoch's last
    step: Lightning would resume from there without validating. Runs are resumed from it and validate again, since
    Lightning does not tell a schedule that follows the validation loss of a loss before the kill. The second is
    written after every epoch; Lightning's own only after one that was the best.

    Args:
        folder: Where both are.
        every: Optimiser steps between two of the first.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002 - Lightning's signature, here and below
        outputs: object,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Save where it is time and gradients are not half accumulated."""
        step, rest = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        if rest or batch_idx + 1 >= trainer.num_training_batches:
            return
        if step == 1 or step % self.every == 0:
            trainer.save_checkpoint(self.folder / "resume.ckpt", weights_only=False)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Save after the callback that keeps the best, whose state this holds."""
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)


class FiniteLossGuard(Callback):
    """Makes each step depend on the seed and its number alone, and stops a run that can come to nothing.

    Where several processes train, they stop together: one alone would leave the others waiting for it.

    Args:
        seed: The recipe's seed.
        facts: File of what the run depends on; its content is kept in every checkpoint.
        bad: List of the photos that could not be read.
    """

    def __init__(self, seed: int, facts: Path, bad: UnreadablePhotos) -> None:
        self.seed = seed
        self.facts = facts
        self.bad = bad

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Lightning does not begin an epoch anew that it resumes in its middle, but layers must be in their modes."""
        pl_module.on_train_epoch_start()

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Seed what the step draws, such as dropout: after a kill it draws the same."""
        state = np.random.SeedSequence((self.seed, trainer.current_epoch, batch_idx, trainer.global_rank))
        torch.manual_seed(int(state.generate_state(1, np.uint64)[0]))

    def on_before_backward(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        loss: Tensor,
    ) -> None:
        """Stop before a loss that is no number reaches the weights, or when too many photos cannot be read.

        Raises:
            RecipeError: If the loss is NaN or infinite in any process, or the list of photos is too long.
        """
        figures = torch.stack([loss.detach().float(), torch.tensor(float(self.bad.too_many()), device=loss.device)])
        total, too_many = trainer.strategy.reduce(figures, reduce_op="sum").tolist()
        if not math.isfinite(total):
            self._diverged(trainer, f"the loss is {total}")
        if too_many:
            self.bad.check()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Stop when too many photos cannot be read.

        Raises:
            RecipeError: If so.
        """
        if trainer.strategy.reduce_boolean_decision(self.bad.too_many(), all=False):
            self.bad.check()

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Keep the facts; keep no weights, and no moving average of them, that are no numbers.

        Raises:
            RecipeError: If a weight is NaN or infinite.
        """
        kept = (*pl_module.state_dict().values(), *checkpoint["state_dict"].values())
        if not all(torch.isfinite(weights).all() for weights in kept):
            self._diverged(trainer, "a weight is no finite number")
        checkpoint["triovision"] = json.loads(self.facts.read_text(encoding="utf-8"))

    def _diverged(self, trainer: lightning.Trainer, what: str) -> None:
        rate = trainer.optimizers[0].param_groups[-1]["lr"]
        where = f"Step {trainer.global_step} (epoch {trainer.current_epoch + 1}, learning rate {rate:.3g})"
        remedy = "Lower `optimisation.learning_rate` in a new run; the last good checkpoint is kept"
        raise RecipeError(where, what, remedy)


class StopEarly(EarlyStopping):
    """Stops when the validation loss has not been better for a while, but never before `min_epochs`.

    Lightning's own `min_epochs` puts a stop off without taking it back: a run that has got better since would end
    there all the same.

    Args:
        min_epochs: Smallest number of epochs.
        patience: Epochs without a better loss.
    """

    def __init__(self, min_epochs: int, patience: int) -> None:
        super().__init__("val/loss", patience=patience)
        self.min_epochs = min_epochs

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Where Lightning checks when each epoch is validated once."""
        super().on_train_epoch_end(trainer, pl_module)
        # A loss that is no number stops at once: nothing has waited for it.
        if trainer.current_epoch + 1 < self.min_epochs and self.wait_count >= self.patience:
            trainer.should_stop = False


log = logging.getLogger(__name__)


class Compile(Callback):
    """Compiles the network before the first step, if a copy of it can be.

    It is compiled in place, so that the names of its weights stay as they are. The trial draws random numbers: what
    seeds the steps has to come after this callback.
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
        """Try forwards and backwards; a network that cannot be compiled is trained as it is."""
        if self._tried or not isinstance(pl_module, CountryModule):
            return
        self._tried = True
        torch.compiler.reset()  # it compiles one function only so many times, and runs before this one may have
        trial = copy.deepcopy(pl_module.network)
        trial.compile()
        try:
            with trainer.precision_plugin.train_step_context():
                trial(batch[0]).float().sum().backward()
        except Exception as exc:  # compilers raise whatever they like
            reason = str(exc).strip().partition("\n")[0]
            log.warning("the network cannot be compiled here and is trained uncompiled (%s)", reason)
        else:
            pl_module.network.compile()
