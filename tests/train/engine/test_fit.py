"""Training of a module that the package does not know: best epoch, resume, unreadable examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from triovision.errors import RecipeError
from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.loaders import ResumableLoader
from triovision.train.data.samplers import RepeatSampler
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.engine.fit import fit, remove_checkpoints
from triovision.train.engine.optim import build_schedule, optimiser_over
from triovision.train.engine.run_folder import write_run_config
from triovision.train.recipes.sections import RunRecipe, Schedule, SharedOptimisation

RECIPE = RunRecipe(
    name="line", description="", architecture="none", starting_weights="none",
    preprocessing=Preprocessing(input_size=32, mean=(0, 0, 0), std=(1, 1, 1)),
    optimisation=SharedOptimisation(
        epochs=4, batch_size=4, optimiser="adam", learning_rate=0.3, patience=9, ema_decay=0, precision="32-true"
    ),
    schedule=Schedule(name="plateau", patience=0),
)  # fmt: skip


class KilledError(Exception):
    """Stands for the end of the process."""


class Examples(TensorDataset):
    """y = 2 x, by the keys of the samplers."""

    def __init__(self) -> None:
        x = torch.linspace(-1, 1, 12)[:, None]
        super().__init__(x, 2 * x)

    def __getitem__(self, key: Any) -> tuple[Tensor, ...]:
        return super().__getitem__(key[0] if isinstance(key, tuple) else key)


class Line(lightning.LightningModule):
    """Fits a line; `kill` is the epoch and the batch before which the process ends."""

    def __init__(self, kill: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Dropout(0.3), nn.Linear(1, 1))
        nn.init.zeros_(self.network[1].weight)
        nn.init.zeros_(self.network[1].bias)
        self.kill = kill
        self.states: list[dict[str, Tensor]] = []
        self.losses: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        if (self.current_epoch, number) == self.kill:
            raise KilledError
        x, y = batch
        return F.mse_loss(self.network(x), y)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        x, y = batch
        loss = F.mse_loss(self.network(x), y)
        self.losses.append(float(loss))
        self.states.append({name: value.clone() for name, value in self.network.state_dict().items()})
        self.log("val/loss", loss)

    def configure_optimizers(self) -> Any:
        optimiser = optimiser_over([{"params": list(self.parameters()), "lr": 0.3}], RECIPE.optimisation)
        return {
            "optimizer": optimiser,
            "lr_scheduler": build_schedule(optimiser, RECIPE.schedule, RECIPE.optimisation, 3),
        }


def fitted(folder: Path, module: Line, **options: Any) -> dict[str, Tensor]:
    write_run_config(folder, {"recipe": RECIPE.model_dump(mode="json")})
    training = ResumableLoader(Examples(), RepeatSampler(np.ones(12, dtype=np.int64), 0), 4)
    return fit(module, training, DataLoader(Examples(), 12), RECIPE, folder, **options)


def test_the_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    module = Line()
    state = fitted(tmp_path, module)
    assert len(module.losses) == 4
    best = module.states[int(np.argmin(module.losses))]
    assert state.keys() == best.keys() == {"1.weight", "1.bias"}
    assert all(torch.equal(state[name], best[name]) for name in best)
    assert (tmp_path / "checkpoints").exists()
    remove_checkpoints(tmp_path)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("kill", [(0, 2), (2, 0), (3, 1)])
def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path, kill: tuple[int, int]) -> None:
    expected = fitted(tmp_path / "whole", Line())
    with pytest.raises(KilledError):
        fitted(tmp_path / "killed", Line(kill), save_every=1)
    module = Line()
    found = fitted(tmp_path / "killed", module, save_every=1)
    assert len(module.losses) <= 4 - kill[0] + 1  # finished epochs are not trained again
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_limit_of_unreadable_photos_holds(tmp_path: Path) -> None:
    unreadable = UnreadablePhotos(tmp_path / "unreadable.csv", 0)
    unreadable.add("a.jpg", "is broken")
    with pytest.raises(RecipeError, match="1 unreadable photos, 0 are allowed"):
        fitted(tmp_path / "run", Line(), unreadable=unreadable)
