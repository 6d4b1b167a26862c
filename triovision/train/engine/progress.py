"""Progress of a run: bar or log lines, elapsed and remaining time."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_info


class RemainingTime:
    """Estimate of the time to the last epoch, from the fraction of the epochs that this process has finished."""

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._first = self._fraction = 0.0

    def update(self, fraction: float) -> None:
        """Set the finished fraction of the run's epochs; the first call starts the clock."""
        if self._start_s is None:
            self._start_s, self._first = time.monotonic(), fraction
        self._fraction = fraction

    def elapsed(self) -> timedelta:
        """Time since the first update, in whole seconds."""
        return timedelta(seconds=round(time.monotonic() - (self._start_s or time.monotonic())))

    def remaining(self) -> timedelta | None:
        """Time to the last epoch, in whole seconds; None before the first progress."""
        done = self._fraction - self._first
        if done <= 0:
            return None
        return timedelta(seconds=round(self.elapsed().total_seconds() * (1 - self._fraction) / done))


class RunBar(TQDMProgressBar):
    """Lightning's progress bar of an epoch, with the remaining time of the whole run."""

    def __init__(self) -> None:
        super().__init__()
        self.time = RemainingTime()

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002 - Lightning's signature, here and below
        batch: Any,  # noqa: ANN401, ARG002
        batch_idx: int,
    ) -> None:
        """Update the finished fraction."""
        self.time.update(finished_fraction(trainer, batch_idx))

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Metrics beside the bar, the remaining time first."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        remaining = self.time.remaining()
        return metrics if remaining is None else {"run_ends_in": f"{remaining} at most", **metrics}


class EpochLines(Callback):
    """One log line an epoch, for output that is not a terminal."""

    def __init__(self) -> None:
        self.time = RemainingTime()

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ANN401, ARG002
        batch_idx: int,
    ) -> None:
        """Start the clock with the first batch."""
        self.time.update(finished_fraction(trainer, batch_idx))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        """Write the line, after validation."""
        self.time.update(finished_fraction(trainer, int(trainer.num_training_batches)))
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(trainer.progress_bar_metrics.items()))
        rank_zero_info(
            f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {metrics}; "
            f"{self.time.elapsed()} so far, {self.time.remaining()} left at most"
        )


def finished_fraction(trainer: lightning.Trainer, batches: int) -> float:
    """Fraction of a run's epochs that is finished after so many batches of the current one."""
    return (trainer.current_epoch + batches / trainer.num_training_batches) / (trainer.max_epochs or 1)
