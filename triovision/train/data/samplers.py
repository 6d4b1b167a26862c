"""Samplers of training photos, and the batches of each process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, Sampler

from triovision.errors import RecipeError
from triovision.train.data.manifest import Manifest
from triovision.train.recipes.sections import CountryDataSection

#: Row of a photo and seed of its augmentation.
SampleKey = tuple[int, int]


def sampling_weights(manifest: Manifest, labels: Sequence[str], data: CountryDataSection) -> NDArray[np.float64]:
    """Sampling probability of each photo: tempered by country, then by place within the country; shape `(n,)`.

    All countries without a label count as one, so that they remain a small fraction of an epoch.
    """
    group = [label if label in labels else "" for label in manifest.labels]
    places = manifest.places
    by_group, by_place = Counter(group), Counter(zip(group, places, strict=True))
    place_total: dict[str, float] = {}
    for (g, _), n in by_place.items():
        place_total[g] = place_total.get(g, 0.0) + n**data.place_power
    weights = np.array(
        [
            by_group[g] ** data.country_power * by_place[g, p] ** (data.place_power - 1) / place_total[g]
            for g, p in zip(group, places, strict=True)
        ]
    )
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities


def repeats_per_epoch(manifest: Manifest, labels: Sequence[str], data: CountryDataSection) -> NDArray[np.int64]:
    """Number of draws of each photo per epoch with oversampling, shape `(n,)`; 1 for countries without a label."""
    repeats = oversampling_repeats(manifest.labels, data.oversampling)
    return np.where(np.isin(manifest.labels, labels), repeats, 1)


def oversampling_repeats(classes: Sequence[str], oversampling: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Number of draws of each example per epoch, shape `(n,)`.

    Args:
        classes: Class of each example.
        oversampling: Pairs of a number of examples and a number of draws. The first pair whose first number exceeds
            the examples of a class applies to it; other examples are drawn once.
    """
    counts = Counter(classes)
    repeats = {name: next((n for below, n in oversampling if count < below), 1) for name, count in counts.items()}
    return np.array([repeats[name] for name in classes], dtype=np.int64)


class PhotoSampler(Sampler[SampleKey], ABC):
    """Sampler of the keys of an epoch, which depend only on the seed and the epoch, so that a run can be resumed.

    Attributes:
        frequencies: Expected fraction of each photo among the keys, shape `(n,)`.
    """

    def __init__(self, frequencies: NDArray[np.float64], seed: int) -> None:
        self.frequencies = frequencies
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; called by Lightning."""
        self.epoch = epoch

    @abstractmethod
    def __len__(self) -> int:
        """Number of keys per epoch."""

    @abstractmethod
    def rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """The rows of one epoch, in order."""

    def __iter__(self) -> Iterator[SampleKey]:
        """The keys of the current epoch."""
        random = np.random.default_rng((self.seed, self.epoch))
        rows = self.rows(random)
        seeds = random.integers(2**62, size=len(rows))
        return iter(list(zip(rows.tolist(), seeds.tolist(), strict=True)))


class WeightedSampler(PhotoSampler):
    """Draws as many photos as there are, with replacement.

    Args:
        weights: Probability of each photo, shape `(n,)`.
        seed: Seed of the sampler.
    """

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        super().__init__(weights, seed)

    def __len__(self) -> int:
        """Number of keys per epoch."""
        return len(self.frequencies)

    def rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Rows drawn with replacement."""
        return random.choice(len(self.frequencies), size=len(self.frequencies), p=self.frequencies)


class RepeatSampler(PhotoSampler):
    """Draws each photo a fixed number of times, shuffled.

    Args:
        repeats: Number of draws of each photo, shape `(n,)`.
        seed: Seed of the sampler.
    """

    def __init__(self, repeats: NDArray[np.int64], seed: int) -> None:
        super().__init__(repeats / repeats.sum(), seed)
        self.repeats = repeats

    def __len__(self) -> int:
        """Number of keys per epoch."""
        return int(self.repeats.sum())

    def rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """A permutation of the repeated rows."""
        return random.permutation(np.repeat(np.arange(len(self.repeats)), self.repeats))


def build_sampler(manifest: Manifest, labels: Sequence[str], data: CountryDataSection, seed: int) -> PhotoSampler:
    """Build the sampler of a recipe."""
    match data.sampler:
        case "tempered":
            return WeightedSampler(sampling_weights(manifest, labels, data), seed)
        case "natural":
            return RepeatSampler(np.ones(len(manifest), dtype=np.int64), seed)
        case "oversample":
            return RepeatSampler(repeats_per_epoch(manifest, labels, data), seed)


@dataclass(frozen=True, slots=True)
class RankInfo:
    """Rank of this process among those of a run.

    Attributes:
        rank: Rank from 0.
        world_size: Number of processes on all machines.
    """

    rank: int = 0
    world_size: int = 1

    def batch_part(self, batch_size: int) -> int:
        """Number of photos of a batch per process.

        Raises:
            RecipeError: If the batch cannot be divided evenly.
        """
        if batch_size % self.world_size:
            reason = f"is {batch_size}, not divisible by {self.world_size} processes"
            raise RecipeError("`optimisation.batch_size`", reason, "Give a multiple of the number of processes")
        return batch_size // self.world_size


class TrainingBatches(BatchSampler):
    """Batches of an epoch for this process, without the first `skip` batches.

    The batches are those of a single process; this process has every `world_size`-th key of each. An epoch shorter
    than one batch is one batch, truncated so that all parts have the same size.

    Args:
        sampler: Sampler of the epoch, the same in every process.
        batch_size: Photos per batch, over all processes.
        rank_info: Rank of this process.

    Raises:
        RecipeError: If a batch cannot be divided evenly, or an epoch has fewer keys than processes.
    """

    skip = 0

    def __init__(self, sampler: Sampler[Any], batch_size: int, rank_info: RankInfo) -> None:
        n_keys = len(sampler)  # type: ignore[arg-type] # the type of torch has no length
        super().__init__(sampler, batch_size, drop_last=n_keys > batch_size)
        rank_info.batch_part(batch_size)
        if n_keys < rank_info.world_size:
            reason = f"an epoch has {n_keys} photos, fewer than processes"
            raise RecipeError("--devices", reason, "Give fewer devices")
        self.rank_info = rank_info

    def __iter__(self) -> Iterator[list[Any]]:
        """The remaining batches."""
        rank, world_size = self.rank_info.rank, self.rank_info.world_size
        for batch in islice(super().__iter__(), self.skip, None):
            yield batch[rank : len(batch) // world_size * world_size : world_size]


class ValidationBatches(Sampler[list[int]]):
    """Batches of validation photos for this process: each photo in one process, and equally many batches in all.

    Processes wait for each other in every batch. If there are fewer photos than processes, every process has all
    of them, which does not change means.

    Args:
        n_photos: Number of photos, at least one.
        batch_size: Photos per batch, over all processes; the last may be larger by one in each process.
        rank_info: Rank of this process.
    """

    def __init__(self, n_photos: int, batch_size: int, rank_info: RankInfo) -> None:
        replicated = n_photos < rank_info.world_size
        self.rows = np.arange(n_photos) if replicated else np.arange(rank_info.rank, n_photos, rank_info.world_size)
        self.size = rank_info.batch_part(batch_size)
        smallest_part = n_photos if replicated else n_photos // rank_info.world_size
        self.count = -(-smallest_part // self.size)

    def __len__(self) -> int:
        """Number of batches."""
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        """Rows of each batch."""
        starts = np.arange(1, self.count) * self.size
        return (batch.tolist() for batch in np.split(self.rows, starts))
