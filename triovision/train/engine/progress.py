"""How far a run is, and when it will have ended."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_info


class Clock:
    """Estimates the time left from the share of the epochs that was done since this process began."""

    def __init__(self) -> None:
        self._begun_s: float | None = None
        self._share_then = self._share = 0.0

    def tell(self, share: float) -> None:
        """Say which share of the run's epochs is done."""
        if self._begun_s is None:
            self._begun_s, self._share_then = time.monotonic(), share
        self._share = share

    def passed(self) -> timedelta:
        """Time since the first share was told, in whole seconds."""
        return timedelta(seconds=round(time.monotonic() - (self._begun_s or time.monotonic())))

    def left(self) -> timedelta | None:
        """Time to the last epoch, in whole seconds; None before anything is done."""
        done = self._share - self._share_then
        return timedelta(seconds=round(self.passed().total_seconds() * (1 - self._share) / done)) if done > 0 else None


class RunBar(TQDMProgressBar):
    """Lightning's bar of an epoch, with the time left for the whole run."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002 - Lightning's signature, here and below
        batch: Any,  # noqa: ANN401, ARG002
        batch_idx: int,
    ) -> None:
        """Tell the clock."""
        self.clock.tell(share_done(trainer, batch_idx))

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands behind the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        left = self.clock.left()
        return metrics if left is None else {"run_ends_in": f"{left} at most", **metrics}


class EpochLines(Callback):
    """One line an epoch, for logs that are no terminal."""

    def __init__(self) -> None:
        self.clock = Clock()

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ANN401, ARG002
        batch_idx: int,
    ) -> None:
        """Tell the clock when the run begins or goes on."""
        self.clock.tell(share_done(trainer, batch_idx))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Write the line, after validation."""
        self.clock.tell(share_done(trainer, int(trainer.num_training_batches)))
        figures = ", ".join(f"{name} {value:.4g}" for name, value in sorted(trainer.progress_bar_metrics.items()))
        rank_zero_info(
            f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {figures}; "
            f"{self.clock.passed()} so far, {self.clock.left()} left at most"
        )


def share_done(trainer: lightning.Trainer, batches: int) -> float:
    """RankInfo of a run's epochs that is done after so many batches of the present one."""
    return (trainer.current_epoch + batches / trainer.num_training_batches) / (trainer.max_epochs or 1)
