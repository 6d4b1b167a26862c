"""Early stopping that waits for the least number of epochs."""

from __future__ import annotations

import lightning
from lightning.pytorch.callbacks import EarlyStopping


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
