"""What a run needs before its first step, made by the first of its processes while the others wait."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from safetensors.torch import load_file

from triovision.errors import RecipeError
from triovision.train.data.loaders import Loader, LoadOptions, frozen_loaders, loaders, prepare
from triovision.train.data.manifest import Manifest
from triovision.train.data.normalisation import measured
from triovision.train.data.run_splits import Splits
from triovision.train.data.samplers import PhotoSampler
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.engine.callbacks import ResumableLoader
from triovision.train.engine.country_module import CountryModule
from triovision.train.engine.run_folder import START, Run, write_weights
from triovision.train.engine.trainer import rank_info
from triovision.train.models.init_weights import start
from triovision.train.recipes.country_recipe import Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained, on what and from what.

    Attributes:
        recipe: What to train and how.
        manifest: All photos.
        splits: Those that are learnt from and those that are measured.
        draws: Which of them an epoch draws.
        folder: Folder of the run.
        source: Weights or run to start from.
        resumed: Checkpoint to resume from, which needs no start.
        loading: How photos are read.
        bad: List of the photos that cannot be read.
    """

    recipe: Recipe
    manifest: Manifest
    splits: Splits
    draws: PhotoSampler
    folder: Path
    source: Path | Run | None
    resumed: Path | None
    loading: LoadOptions
    bad: UnreadablePhotos


class Preparation(lightning.LightningDataModule):
    """Decodes what the caches lack, fills the network with its starting weights and makes the loaders.

    Lightning lets the first process do so alone. The others wait, however long it takes, and then find all of it on
    the disk; if it fails, they stop too.

    Args:
        plan: What is trained.
        module: Whose network is filled.
    """

    training: ResumableLoader
    held_out: list[Loader]

    def __init__(self, plan: Plan, module: CountryModule) -> None:
        super().__init__()
        self.prepare_data_per_node = False
        self.plan = plan
        self.module = module
        self._error: Exception | None = None

    def prepare_data(self) -> None:
        """Called in the first process, while the others wait."""
        try:
            self.plan.bad.forget_restored(self.plan.manifest.root)
            self.training, self.held_out = self._make()
        except Exception as exc:  # whatever it is, the others must hear of it
            self._error = exc

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Called in every process, afterwards.

        Raises:
            RecipeError: If what the run needs cannot be made.
        """
        failed = self.module.trainer.strategy.broadcast(self._error is not None)
        if self._error is not None:
            raise self._error
        if failed:
            raise RecipeError("The first process", "stopped before the run began", "See what it says")
        if not self.module.trainer.is_global_zero:
            self.training, self.held_out = self._make()

    def train_dataloader(self) -> ResumableLoader:
        """This process's part of the training batches."""
        return self.training

    def val_dataloader(self) -> list[Loader]:
        """The same of each validation split."""
        return self.held_out

    def _make(self) -> tuple[ResumableLoader, list[Loader]]:
        plan, share = self.plan, rank_info(self.module.trainer)
        recipe = measured(plan.recipe, plan.splits.training, plan.folder, plan.loading.workers)
        photos = prepare(recipe, plan.manifest, plan.splits, plan.loading, plan.bad)
        if plan.resumed is None:
            self._start(recipe, share.rank == 0)
        if not plan.loading.views:
            return loaders(recipe, plan.draws, photos, plan.loading, share)
        if plan.resumed is not None:
            # Not the moving average, which rounds even what never changes.
            kept: dict[str, Any] = torch.load(plan.resumed, weights_only=True, map_location="cpu")
            self.module.load_state_dict(kept.get("current_model_state", kept["state_dict"]))
        return frozen_loaders(recipe, plan.splits, plan.draws, photos, self.module.network, plan.loading, share)

    def _start(self, recipe: Recipe, first: bool) -> None:
        network, plan = self.module.network, self.plan
        if first:
            start(network, recipe, plan.splits, plan.source, plan.loading.workers)
            write_weights(network, plan.folder / START)
        else:
            network.load_state_dict(load_file(plan.folder / START))
