"""What the training loop needs beyond Lightning: exact resuming, whole checkpoints, and an end in words."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from triovision.errors import RecipeError
from triovision.train.data.dataset import Sample
from triovision.train.data.samplers import SampleKey
from triovision.train.data.sharing import RankInfo, TrainingBatches
from triovision.train.data.unreadable import UnreadablePhotos


class ResumableLoader(DataLoader[Sample | None]):
    """A training loader that goes on in the middle of an epoch; Lightning keeps its state in each checkpoint.

    Args:
        dataset: Photos or features.
        draws: Sampler with an `epoch`, on which alone (and on its seed) its draws depend.
        batch_size: Photos a batch, over all processes.
        share: This process.
        arguments: Those of `DataLoader`.
    """

    def __init__(
        self,
        dataset: Dataset[Sample | None],
        draws: Sampler[SampleKey],
        batch_size: int,
        share: RankInfo = RankInfo(),  # noqa: B008 - immutable
        **arguments: Any,  # noqa: ANN401 - DataLoader's own
    ) -> None:
        self.batches = TrainingBatches(draws, batch_size, share)
        super().__init__(dataset, batch_sampler=self.batches, **arguments)
        self._seen = {"epoch": 0, "batches": 0}

    @property
    def _epoch(self) -> int:
        return int(cast(Any, self.batches.sampler).epoch)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override] # a generator, so that it begins with its first batch
        """The epoch's batches, without those that were seen before a kill."""
        # Lightning makes the iterator of a resumed run before it tells the sampler the epoch.
        self.batches.skip = self._seen["batches"] if self._seen["epoch"] == self._epoch else 0
        if self.batches.skip >= len(self):
            self.batches.skip = 0
        self._seen = {"epoch": self._epoch, "batches": self.batches.skip}
        for batch in super().__iter__():
            self._seen["batches"] += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch, and how many of its batches were handed out."""
        return dict(self._seen)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a state."""
        self._seen = dict(state)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and then puts it in its place."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ANN401, ARG002 - Lightning's signature
        """Write a checkpoint.

        Raises:
            RecipeError: If it cannot be written; the file that was there is as before.
        """
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError as exc:
            part.unlink(missing_ok=True)
            reason = f"cannot be written ({exc.strerror or exc}); the checkpoint before it is unharmed"
            raise RecipeError(str(target), reason, "Free some space and give the same command to go on") from exc


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
