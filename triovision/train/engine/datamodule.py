"""Lightning data module of a country run: caches, initial weights and loaders, prepared by the first process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from safetensors.torch import load_file

from triovision.errors import RecipeError
from triovision.train.data.loaders import (
    Loader,
    LoadOptions,
    ResumableLoader,
    build_datasets,
    build_feature_loaders,
    build_loaders,
)
from triovision.train.data.manifest import Manifest
from triovision.train.data.normalisation import with_statistics
from triovision.train.data.samplers import PhotoSampler
from triovision.train.data.splits import Splits
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.engine.country_module import CountryModule
from triovision.train.engine.run_folder import INIT, CountryRun, write_weights
from triovision.train.engine.trainer import rank_info
from triovision.train.models.init_weights import init_backbone, init_from_classifier
from triovision.train.models.linear_probe import fit_last_layer
from triovision.train.recipes.country_recipe import Recipe


@dataclass(frozen=True, slots=True)
class CountryData:
    """Inputs of a country run.

    Attributes:
        recipe: Country recipe.
        manifest: All photos.
        splits: Training and validation photos.
        sampler: Sampler of the training photos.
        folder: Folder of the run.
        init_from: Initial weights or a run to fine-tune.
        resumed: Checkpoint to resume from, which needs no initial weights.
        options: How photos are loaded.
        unreadable: List of the photos that cannot be read.
    """

    recipe: Recipe
    manifest: Manifest
    splits: Splits
    sampler: PhotoSampler
    folder: Path
    init_from: Path | CountryRun | None
    resumed: Path | None
    options: LoadOptions
    unreadable: UnreadablePhotos


class CountryDataModule(lightning.LightningDataModule):
    """Fills the caches, initialises the network and builds the loaders.

    Lightning lets the first process prepare everything alone. The others wait and then read it from the disk; if the
    first process fails, they stop too.

    Args:
        data: Inputs of the run.
        module: Module whose network is initialised.
    """

    training: ResumableLoader
    validation: list[Loader]

    def __init__(self, data: CountryData, module: CountryModule) -> None:
        super().__init__()
        self.prepare_data_per_node = False
        self.data = data
        self.module = module
        self._error: Exception | None = None

    def prepare_data(self) -> None:
        """Prepare everything in the first process, while the others wait."""
        try:
            self.data.unreadable.forget_restored(self.data.manifest.root)
            self.training, self.validation = self._build()
        except Exception as exc:  # `setup` stops the other processes and raises it
            self._error = exc

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Build the loaders of the other processes.

        Raises:
            RecipeError: If the first process failed.
        """
        failed = self.module.trainer.strategy.broadcast(self._error is not None)
        if self._error is not None:
            raise self._error
        if failed:
            raise RecipeError("The first process", "stopped before training began", "See its error message")
        if not self.module.trainer.is_global_zero:
            self.training, self.validation = self._build()

    def train_dataloader(self) -> ResumableLoader:
        """This process's part of the training batches."""
        return self.training

    def val_dataloader(self) -> list[Loader]:
        """This process's part of the batches of each validation split."""
        return self.validation

    def _build(self) -> tuple[ResumableLoader, list[Loader]]:
        data, rank = self.data, rank_info(self.module.trainer)
        recipe = with_statistics(data.recipe, data.splits.training, data.folder, data.options.workers)
        photos = build_datasets(recipe, data.manifest, data.splits, data.options, data.unreadable)
        if data.resumed is None:
            self._init_weights(recipe, rank.rank == 0)
        if not data.options.augmented_copies:
            return build_loaders(recipe, data.sampler, photos, data.options, rank)
        if data.resumed is not None:
            # Not the moving average, which rounds even frozen weights.
            checkpoint: dict[str, Any] = torch.load(data.resumed, weights_only=True, map_location="cpu")
            self.module.load_state_dict(checkpoint.get("current_model_state", checkpoint["state_dict"]))
        return build_feature_loaders(recipe, data.splits, data.sampler, photos, self.module.network, data.options, rank)

    def _init_weights(self, recipe: Recipe, first: bool) -> None:
        network, data = self.module.network, self.data
        if not first:
            network.load_state_dict(load_file(data.folder / INIT))
            return
        if isinstance(data.init_from, CountryRun):
            run = data.init_from
            init_from_classifier(
                network, data.splits.labels, run.network, run.labels, f"{run.folder} ({run.recipe.architecture})"
            )
        else:
            init_backbone(network, recipe, data.init_from)
        if recipe.last_layer.at_start:
            fit_last_layer(network, data.splits.training, data.splits.labels, recipe, data.options.workers)
        write_weights(network, data.folder / INIT)
