"""Data loaders of a run: of decoded photos, cached images or cached features."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from triovision.errors import RecipeError
from triovision.train.data.dataset import Sample, TrainingPhotos, ValidationPhotos, collate
from triovision.train.data.feature_cache import CountryFeatures, cache_features, collate_features, split_frozen_layers
from triovision.train.data.image_cache import NetworkInput, ShorterSide, open_cache, shorter_side
from triovision.train.data.manifest import Manifest
from triovision.train.data.samplers import PhotoSampler, RankInfo, SampleKey, TrainingBatches, ValidationBatches
from triovision.train.data.splits import Splits
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.recipes.country_recipe import Recipe


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Options of reading photos and saving checkpoints that every run has.

    Attributes:
        workers: Processes that prepare images, per training process; 0 prepares them in the training process.
        cache: Folder of caches, shared by runs; None for none.
        max_unreadable: Largest number or percentage of unreadable photos, such as `"1%"`.
        save_every: Optimiser steps between two checkpoints.
    """

    workers: int = 2
    cache: Path | None = None
    max_unreadable: str = "1%"
    save_every: int = 200


@dataclass(frozen=True, slots=True)
class LoadOptions(ReadOptions):
    """Options of reading the photos of a country run; without a cache, each epoch decodes every photo.

    Attributes:
        cache_side: Shorter side in pixels of the cached images; None for the one that the recipe needs.
        augmented_copies: Augmented copies of each photo whose frozen features are cached; 0: no feature cache.
    """

    cache_side: int | None = None
    augmented_copies: int = 0

    def side(self, recipe: Recipe) -> int:
        """Shorter side in pixels of the cached images."""
        return self.cache_side or shorter_side(recipe.augmentation)

    def config(self, recipe: Recipe) -> dict[str, Any]:
        """The options that change the training images, for the run config; empty without a cache."""
        return (
            {"images": {"shorter_side": self.side(recipe), "augmented_copies": self.augmented_copies}}
            if self.cache
            else {}
        )

    def feature_cache_folder(self, recipe: Recipe) -> Path:
        """Folder of the feature caches.

        Raises:
            RecipeError: If no cache is given, or no layer is frozen.
        """
        if self.cache is None or recipe.freeze_blocks == 0:
            remedy = "Give --cache and a recipe with `freeze_blocks`, or no --augmented-copies"
            raise RecipeError("--augmented-copies", "needs a cache and frozen layers", remedy)
        return self.cache


class ResumableLoader(DataLoader[Any]):
    """Training loader that resumes within an epoch; Lightning saves its state in checkpoints.

    Args:
        dataset: Photos, features, or any other examples.
        sampler: Sampler whose keys depend only on its seed and its `epoch`.
        batch_size: Photos per batch, over all processes.
        rank_info: Rank of this process.
        arguments: Arguments of `DataLoader`.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        sampler: Sampler[SampleKey],
        batch_size: int,
        rank_info: RankInfo = RankInfo(),  # noqa: B008 - immutable
        **arguments: Any,  # noqa: ANN401 - of DataLoader
    ) -> None:
        self.batches = TrainingBatches(sampler, batch_size, rank_info)
        super().__init__(dataset, batch_sampler=self.batches, **arguments)
        self._seen = {"epoch": 0, "batches": 0}

    @property
    def _epoch(self) -> int:
        return int(cast(Any, self.batches.sampler).epoch)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override] # a generator, so that it begins with its first batch
        """The batches of the epoch, without those handed out before a kill."""
        # Lightning makes the iterator of a resumed run before it sets the epoch of the sampler.
        self.batches.skip = self._seen["batches"] if self._seen["epoch"] == self._epoch else 0
        if self.batches.skip >= len(self):
            self.batches.skip = 0
        self._seen = {"epoch": self._epoch, "batches": self.batches.skip}
        for batch in super().__iter__():
            self._seen["batches"] += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch, and the number of its batches handed out."""
        return dict(self._seen)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Resume from a state."""
        self._seen = dict(state)


@dataclass(frozen=True, slots=True)
class Photos:
    """Datasets of a run."""

    training: TrainingPhotos
    validation: tuple[ValidationPhotos, ...]


Loader = DataLoader[Sample | None]


def build_datasets(
    recipe: Recipe, manifest: Manifest, splits: Splits, options: LoadOptions, unreadable: UnreadablePhotos
) -> Photos:
    """Build the datasets of a run; with a cache, photos that it lacks are decoded now.

    Raises:
        RecipeError: If the disk is full, or too many photos cannot be read.
    """
    training_cache = validation_cache = None
    parts = [part for part in splits.validation.values() if len(part)]
    if options.cache is not None:
        files, resize = list(splits.training.table["file"]), ShorterSide(options.side(recipe))
        training_cache = open_cache(options.cache, manifest, files, resize, options.workers, unreadable)
        files = [file for part in parts for file in part.table["file"]]
        square = NetworkInput(recipe.preprocessing)
        validation_cache = open_cache(options.cache, manifest, files, square, options.workers, unreadable)
    training = TrainingPhotos(splits.training, splits.labels, recipe, training_cache, unreadable)
    validation = (ValidationPhotos(p, splits.labels, recipe.preprocessing, validation_cache, unreadable) for p in parts)
    return Photos(training, tuple(validation))


def build_loaders(
    recipe: Recipe, sampler: PhotoSampler, photos: Photos, options: LoadOptions, rank_info: RankInfo
) -> tuple[ResumableLoader, list[Loader]]:
    """The training loader and one loader per validation split, for this process."""
    arguments = _arguments(options.workers) | {"collate_fn": collate(recipe.preprocessing)}
    batch = recipe.optimisation.batch_size
    return (
        ResumableLoader(photos.training, sampler, batch, rank_info, **arguments),
        [_validation_loader(part, batch, rank_info, arguments) for part in photos.validation],
    )


def build_feature_loaders(
    recipe: Recipe,
    splits: Splits,
    sampler: PhotoSampler,
    photos: Photos,
    network: nn.Module,
    options: LoadOptions,
    rank_info: RankInfo,
) -> tuple[ResumableLoader, list[Loader]]:
    """Loaders of the features of the frozen layers; those that the cache lacks are computed now.

    Args:
        recipe: Recipe with `freeze_blocks`.
        splits: Splits of the run.
        sampler: Sampler of the run.
        photos: Datasets of the run.
        network: Network with initial weights; its frozen layers are split off in place.
        options: Cache folder and number of augmented copies.
        rank_info: Rank of this process.

    Raises:
        RecipeError: If no layer is frozen, no cache is given, the network cannot be split or the disk is full.
    """
    cache = options.feature_cache_folder(recipe)
    frozen = split_frozen_layers(network, recipe.freeze_blocks)
    frozen.to("cuda" if torch.cuda.is_available() else "cpu")
    key = {
        "architecture": recipe.architecture,
        "manifest": f"{photos.training.root.resolve()} {splits.training.sha256}",
        "data": _json(recipe.data.model_dump()),
        "preprocessing": _json(recipe.preprocessing.model_dump()),
    }
    augmentation = {"augmentation": _json(recipe.augmentation.model_dump()), "side": str(options.side(recipe))}
    workers = options.workers
    # Caches are indexed by row, and a cache of an earlier version may hold rows that are left out now.
    training_key = key | augmentation | {"split": f"training, {len(splits.training)} photos"}
    training = cache_features(cache, frozen, photos.training, training_key, workers, options.augmented_copies)
    names = [name for name, part in splits.validation.items() if len(part)]
    validation = [
        cache_features(cache, frozen, part, key | {"split": name}, workers)
        for name, part in zip(names, photos.validation, strict=True)
    ]
    # Reading an array is faster than sending it from one process to another.
    arguments = _arguments(0) | {"collate_fn": collate_features}
    batch = recipe.optimisation.batch_size
    return (
        ResumableLoader(training, sampler, batch, rank_info, **arguments),
        [_validation_loader(part, batch, rank_info, arguments) for part in validation],
    )


def _validation_loader(
    photos: ValidationPhotos | CountryFeatures, batch: int, rank_info: RankInfo, arguments: dict[str, Any]
) -> Loader:
    return DataLoader(photos, batch_sampler=ValidationBatches(len(photos), batch, rank_info), **arguments)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _arguments(workers: int) -> dict[str, Any]:
    pin = torch.cuda.is_available()
    return {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": pin}
