"""Early stopping and compilation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from triovision.train.engine.callbacks import Compile, StopEarly
from triovision.train.engine.country_module import CountryModule
from triovision.train.losses.country import CrossEntropy
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import CountryLossSection


class Scripted(lightning.LightningModule):
    """Logs the given validation losses, one an epoch."""

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
        ([3, float("nan"), 2, 2, 2, 2, 2, 2], 2),  # not finite: the run stops at once
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


TRAINER: Any = SimpleNamespace(precision_plugin=SimpleNamespace(train_step_context=nullcontext))
BATCH = torch.zeros(2, 3, 32, 32), torch.tensor([0, 1])


@pytest.fixture
def module() -> CountryModule:
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "description": "",
            "architecture": "test_efficientnet",
            "starting_weights": "none",
            "preprocessing": {"input_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3},
        }
    )
    loss = CrossEntropy(CountryLossSection(), np.array([1, 1]), np.array([0.5, 0.5]))
    return CountryModule(recipe, ("FR", "JP"), ("held_out",), 1, loss)


def test_compiling_keeps_names_and_weights(module: CountryModule, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []

    def compiled(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda images: calls.append(images) or forward(images)  # type: ignore[func-returns-value]

    monkeypatch.setattr("torch.compile", compiled)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    callback = Compile()
    callback.on_train_batch_start(TRAINER, module, BATCH, 0)
    callback.on_train_batch_start(TRAINER, module, BATCH, 1)
    assert len(calls) == 1  # the trial, once
    after = module.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    module.network(BATCH[0])
    assert len(calls) == 2


def test_where_nothing_can_be_compiled_the_network_is_trained_as_it_is(
    module: CountryModule, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("No working C++ compiler\nand a long trace")

    monkeypatch.setattr("torch.compile", lambda _: fails)
    with caplog.at_level(logging.WARNING):
        Compile().on_train_batch_start(TRAINER, module, BATCH, 0)
    assert caplog.messages == [
        "the network cannot be compiled here and is trained uncompiled (No working C++ compiler)"
    ]
    assert module.network(BATCH[0]).shape == (2, 2)
