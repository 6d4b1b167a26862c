"""Training of any Lightning module in a run folder: checkpoints, resume and the weights of the best epoch."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from triovision.train.data.loaders import ResumableLoader
from triovision.train.data.unreadable import FILE, UnreadablePhotos
from triovision.train.engine.callbacks import FiniteLossGuard, StepCheckpoint, StepSeed
from triovision.train.engine.run_folder import CHECKPOINTS, RUN_CONFIG, resume_checkpoint
from triovision.train.engine.trainer import TrainerOptions
from triovision.train.recipes.sections import RunRecipe


def fit(  # noqa: PLR0913 - four of them have a default
    module: lightning.LightningModule,
    training: ResumableLoader,
    validation: DataLoader[object] | Sequence[DataLoader[object]],
    recipe: RunRecipe,
    folder: Path,
    *,
    monitor: str = "val/loss",
    unreadable: UnreadablePhotos | None = None,
    save_every: int = 200,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Tensor]:
    """Train a module as its recipe states, on one device; a killed run resumes after its last checkpoint.

    The same command then ends with the same weights, bit for bit on one processor. The checkpoints are kept until
    `remove_checkpoints`, so that a kill before the weights are written costs no training.

    Args:
        module: Module with the trained layers in its attribute `network`. It logs `val/loss`, which early stopping and
            the schedule `plateau` follow, and `monitor`.
        training: Loader of the training examples.
        validation: Loader of the validation examples, or one for each split.
        recipe: Recipe with the optimiser, the schedule and the stopping rule.
        folder: Folder of the run, with its `run.json`: see `write_run_config`.
        monitor: Logged metric whose smallest value is that of the best epoch.
        unreadable: List of unreadable photos, with its limit; by default none may be listed.
        save_every: Optimiser steps between two checkpoints.
        callbacks: Further Lightning callbacks.

    Returns:
        State of `module.network` after the best epoch.

    Raises:
        RecipeError: If the loss is not finite, too many photos cannot be read, or the disk is full.
    """
    unreadable = unreadable or UnreadablePhotos(folder / FILE, 0)
    steps = math.ceil(len(training) / recipe.optimisation.accumulation)
    best, own = run_callbacks(folder, monitor, recipe.seed, unreadable, save_every)
    trainer = TrainerOptions().build(recipe, folder, steps, [*own, *callbacks])
    # Checkpoints hold plain values and tensors, so torch's weights-only loading stays on.
    trainer.fit(module, training, validation, ckpt_path=resume_checkpoint(folder), weights_only=True)
    return trained_state(best)


def remove_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a run whose finished weights are written."""
    shutil.rmtree(folder / CHECKPOINTS)


def run_callbacks(
    folder: Path, monitor: str, seed: int, unreadable: UnreadablePhotos, save_every: int
) -> tuple[ModelCheckpoint, list[Callback]]:
    """Build the callback of the best epoch, and the callbacks of every run in their order."""
    checkpoints = folder / CHECKPOINTS
    best = ModelCheckpoint(checkpoints, "{epoch:02d}", monitor=monitor, enable_version_counter=False)
    guard = FiniteLossGuard(folder / RUN_CONFIG, unreadable)
    return best, [best, StepSeed(seed), guard, StepCheckpoint(checkpoints, save_every)]


def trained_state(best: ModelCheckpoint) -> dict[str, Tensor]:
    """Weights of the module's network in the best epoch."""
    state: dict[str, Tensor] = torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
