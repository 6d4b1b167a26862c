from __future__ import annotations

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from triovision.train.engine.stopping import StopEarly

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
]


class Scripted(lightning.LightningModule):
    """Reports one validation loss after the other."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses = losses
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return self.layer(batch).sum()

    def validation_step(self, *_: object) -> None:
        self.log("val/loss", torch.tensor(self.losses[self.current_epoch]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ([3, 2, 2, 2, 2, 2, 2, 2], 4),  # two epochs without a better loss
        ([3, 2, 2, 2, 1, 1, 1, 1], 4),
    ],
)
def test_a_run_stops_when_nothing_gets_better(losses: list[float], epochs: int) -> None:
    assert trained(losses, min_epochs=1) == epochs


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ([3, 2, 2, 2, 2, 2, 2, 2], 5),
        ([3, 2, 2, 2, 1, 1, 1, 1], 7),  # it got better just in time, and has two more epochs
        ([3, 2, 2, 2, 2, 1, 1, 1], 5),
        ([3, float("nan"), 2, 2, 2, 2, 2, 2], 2),  # no number: waiting would not help
    ],
)
def test_a_run_has_its_least_number_of_epochs(losses: list[float], epochs: int) -> None:
    assert trained(losses, min_epochs=5) == epochs


def trained(losses: list[float], min_epochs: int) -> int:
    data = DataLoader(torch.ones(1, 1))
    trainer = lightning.Trainer(
        max_epochs=8, accelerator="cpu", callbacks=[StopEarly(min_epochs, patience=2)], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(Scripted([float(loss) for loss in losses]), data, data)
    return trainer.current_epoch
