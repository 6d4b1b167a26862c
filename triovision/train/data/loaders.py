"""From a run's photos to its batches: decoded each time, from a cache of pictures or from one of frozen features."""

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
from triovision.train.data.feature_cache import FrozenFeatures, collate_features, cut_prefix, frozen_features
from triovision.train.data.image_cache import NetworkInput, ShorterSide, open_cache, shorter_side
from triovision.train.data.manifest import Manifest
from triovision.train.data.samplers import PhotoSampler, RankInfo, SampleKey, TrainingBatches, ValidationBatches
from triovision.train.data.splits import Splits
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.recipes.country_recipe import Recipe


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How any run reads its photos and keeps itself safe.

    Attributes:
        workers: Processes that prepare pictures, for each process that trains; 0 prepares them in that one.
        cache: Folder of what is kept of the photos, shared by runs; None for what the run does without one.
        max_unreadable: Photos that may be unreadable: a number, or a share such as `"1%"`.
        save_every: Optimiser steps between two checkpoints to resume from.
    """

    workers: int = 2
    cache: Path | None = None
    max_unreadable: str = "1%"
    save_every: int = 200


@dataclass(frozen=True, slots=True)
class LoadOptions(ReadOptions):
    """How a run of a country classifier reads its photos: `ReadOptions` and what follows.

    Without a cache every photo is decoded in every epoch.

    Attributes:
        cache_side: Shorter side in pixels of the cached pictures; None for what the recipe's crops need.
        augmented_copies: Augmented copies of each photo whose frozen features are cached; 0: no feature cache.
    """

    cache_side: int | None = None
    augmented_copies: int = 0

    def side(self, recipe: Recipe) -> int:
        """Shorter side in pixels of the cached pictures."""
        return self.cache_side or shorter_side(recipe.augmentation)

    def config(self, recipe: Recipe) -> dict[str, Any]:
        """What changes the pictures that are learnt from, and so the result; nothing without a cache."""
        return (
            {"pictures": {"shorter_side": self.side(recipe), "augmented_copies": self.augmented_copies}}
            if self.cache
            else {}
        )

    def feature_cache_folder(self, recipe: Recipe) -> Path:
        """Folder of the cached views.

        Raises:
            RecipeError: If there is none, or nothing is frozen.
        """
        if self.cache is None or recipe.freeze_blocks == 0:
            remedy = "Give --cache and a recipe with `freeze_blocks`, or no --augmented-copies"
            raise RecipeError("--augmented-copies", "needs a cache and a frozen part", remedy)
        return self.cache


class ResumableLoader(DataLoader[Sample | None]):
    """A training loader that goes on in the middle of an epoch; Lightning keeps its state in each checkpoint.

    Args:
        dataset: Photos or features.
        draws: Sampler with an `epoch`, on which alone (and on its seed) its draws depend.
        batch_size: Photos a batch, over all processes.
        share: This process.
        arguments: Those of `DataLoader`.
    """

    def __init__(
        self,
        dataset: Dataset[Sample | None],
        draws: Sampler[SampleKey],
        batch_size: int,
        share: RankInfo = RankInfo(),  # noqa: B008 - immutable
        **arguments: Any,  # noqa: ANN401 - DataLoader's own
    ) -> None:
        self.batches = TrainingBatches(draws, batch_size, share)
        super().__init__(dataset, batch_sampler=self.batches, **arguments)
        self._seen = {"epoch": 0, "batches": 0}

    @property
    def _epoch(self) -> int:
        return int(cast(Any, self.batches.sampler).epoch)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override] # a generator, so that it begins with its first batch
        """The epoch's batches, without those that were seen before a kill."""
        # Lightning makes the iterator of a resumed run before it tells the sampler the epoch.
        self.batches.skip = self._seen["batches"] if self._seen["epoch"] == self._epoch else 0
        if self.batches.skip >= len(self):
            self.batches.skip = 0
        self._seen = {"epoch": self._epoch, "batches": self.batches.skip}
        for batch in super().__iter__():
            self._seen["batches"] += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch, and how many of its batches were handed out."""
        return dict(self._seen)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a state."""
        self._seen = dict(state)


@dataclass(frozen=True, slots=True)
class Photos:
    """The photos of a run, ready to be drawn."""

    training: TrainingPhotos
    validation: tuple[ValidationPhotos, ...]


Loader = DataLoader[Sample | None]


def prepare(recipe: Recipe, manifest: Manifest, splits: Splits, loading: LoadOptions, bad: UnreadablePhotos) -> Photos:
    """The photos of a run; with a cache, those that it lacks are decoded now.

    Raises:
        RecipeError: If the disk is full, or too many photos cannot be read.
    """
    training_cache = validation_cache = None
    parts = [part for part in splits.validation.values() if len(part)]
    if loading.cache is not None:
        files, resize = list(splits.training.table["file"]), ShorterSide(loading.side(recipe))
        training_cache = open_cache(loading.cache, manifest, files, resize, loading.workers, bad)
        files = [file for part in parts for file in part.table["file"]]
        square = NetworkInput(recipe.preprocessing)
        validation_cache = open_cache(loading.cache, manifest, files, square, loading.workers, bad)
    training = TrainingPhotos(splits.training, splits.labels, recipe, training_cache, bad)
    validation = (ValidationPhotos(p, splits.labels, recipe.preprocessing, validation_cache, bad) for p in parts)
    return Photos(training, tuple(validation))


def loaders(
    recipe: Recipe, draws: PhotoSampler, photos: Photos, loading: LoadOptions, share: RankInfo
) -> tuple[ResumableLoader, list[Loader]]:
    """The training loader and one for each validation split, of this process's share."""
    make = _arguments(loading.workers) | {"collate_fn": collate(recipe.preprocessing)}
    batch = recipe.optimisation.batch_size
    return (
        ResumableLoader(photos.training, draws, batch, share, **make),
        [_held_out(part, batch, share, make) for part in photos.validation],
    )


def frozen_loaders(
    recipe: Recipe,
    splits: Splits,
    draws: PhotoSampler,
    photos: Photos,
    network: nn.Module,
    loading: LoadOptions,
    share: RankInfo,
) -> tuple[ResumableLoader, list[Loader]]:
    """The same of the frozen part's output, which is computed now where the cache lacks it.

    Args:
        recipe: Says how much is frozen.
        splits: The run's splits.
        draws: Its sampler.
        photos: Its photos.
        network: Its network with starting weights; it is cut in place, so that it takes the frozen part's output.
        loading: Names the cache and the number of views.
        share: This process.

    Raises:
        RecipeError: If nothing is frozen, no cache is given, the network cannot be cut or the disk is full.
    """
    cache = loading.feature_cache_folder(recipe)
    prefix = cut_prefix(network, recipe.freeze_blocks)
    prefix.to("cuda" if torch.cuda.is_available() else "cpu")
    about = {
        "frozen part of": recipe.architecture,
        "manifest": f"{photos.training.root.resolve()} {splits.training.sha256}",
        "data": _text(recipe.data.model_dump()),
        "preprocessing": _text(recipe.preprocessing.model_dump()),
    }
    changed = {"augmentation": _text(recipe.augmentation.model_dump()), "side": str(loading.side(recipe))}
    workers = loading.workers
    training = frozen_features(
        cache, prefix, photos.training, about | changed | {"split": "training"}, workers, loading.augmented_copies
    )
    names = [name for name, part in splits.validation.items() if len(part)]
    held_out = [
        frozen_features(cache, prefix, part, about | {"split": name}, workers)
        for name, part in zip(names, photos.validation, strict=True)
    ]
    # ReadOptions an array is faster than handing it from one process to another.
    make = _arguments(0) | {"collate_fn": collate_features}
    batch = recipe.optimisation.batch_size
    return (
        ResumableLoader(training, draws, batch, share, **make),
        [_held_out(part, batch, share, make) for part in held_out],
    )


def _held_out(photos: ValidationPhotos | FrozenFeatures, batch: int, share: RankInfo, make: dict[str, Any]) -> Loader:
    return DataLoader(photos, batch_sampler=ValidationBatches(len(photos), batch, share), **make)


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _arguments(workers: int) -> dict[str, Any]:
    pin = torch.cuda.is_available()
    return {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": pin}
