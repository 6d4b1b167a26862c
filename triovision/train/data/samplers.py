"""Samplers of an epoch, and the part of each batch that a process takes."""

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

SampleKey = tuple[int, int]


def draw_weights(manifest: Manifest, labels: Sequence[str], data: CountryDataSection) -> NDArray[np.float64]:
    """Probability of each photo to be drawn: tempered by country, then by place within the country.

    All countries without a label count as one, so that they stay a small part of what is seen.
    """
    group = [c if c in labels else "" for c in manifest.table["country"]]
    places = manifest.table["place"]
    by_group, by_place = Counter(group), Counter(zip(group, places, strict=True))
    place_share: dict[str, float] = {}
    for (g, _), n in by_place.items():
        place_share[g] = place_share.get(g, 0.0) + n**data.place_power
    weights = np.array(
        [
            by_group[g] ** data.country_power * by_place[g, p] ** (data.place_power - 1) / place_share[g]
            for g, p in zip(group, places, strict=True)
        ]
    )
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def draws_per_epoch(manifest: Manifest, labels: Sequence[str], data: CountryDataSection) -> NDArray[np.int64]:
    """How often oversampling draws each photo: more often where the country has few, once where it has no label."""
    counts = Counter(manifest.table["country"])
    times = {c: next((t for below, t in data.oversampling if counts[c] < below), 1) for c in labels}
    return np.array([times.get(country, 1) for country in manifest.table["country"]], dtype=np.int64)


class PhotoSampler(Sampler[SampleKey], ABC):
    """The draws of an epoch: `(row, seed of its random changes)`.

    They depend on the seed and the epoch alone, so a resumed run sees what an uninterrupted one would.

    Attributes:
        shares: Expected share of each photo among the draws, shape `(n,)`.
    """

    def __init__(self, shares: NDArray[np.float64], seed: int) -> None:
        self.shares = shares
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    @abstractmethod
    def __len__(self) -> int:
        """PhotoSampler in an epoch."""

    @abstractmethod
    def rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """The rows of one epoch, in their order."""

    def __iter__(self) -> Iterator[SampleKey]:
        """The draws of the current epoch."""
        random = np.random.default_rng((self.seed, self.epoch))
        rows = self.rows(random)
        seeds = random.integers(2**62, size=len(rows))
        return iter(list(zip(rows.tolist(), seeds.tolist(), strict=True)))


class WeightedSampler(PhotoSampler):
    """As many draws as there are photos, with replacement.

    Args:
        weights: Probability of each photo, shape `(n,)`.
        seed: Seed of the draws.
    """

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        super().__init__(weights, seed)

    def __len__(self) -> int:
        """PhotoSampler in an epoch."""
        return len(self.shares)

    def rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Rows with replacement."""
        return random.choice(len(self.shares), size=len(self.shares), p=self.shares)


class RepeatSampler(PhotoSampler):
    """Each photo a fixed number of times, shuffled.

    Args:
        times: PhotoSampler of each photo, shape `(n,)`.
        seed: Seed of the order.
    """

    def __init__(self, times: NDArray[np.int64], seed: int) -> None:
        super().__init__(times / times.sum(), seed)
        self.times = times

    def __len__(self) -> int:
        """PhotoSampler in an epoch."""
        return int(self.times.sum())

    def rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """A permutation of the repeated rows."""
        return random.permutation(np.repeat(np.arange(len(self.times)), self.times))


def build_sampler(manifest: Manifest, labels: Sequence[str], data: CountryDataSection, seed: int) -> PhotoSampler:
    """The sampler that the recipe names."""
    match data.sampler:
        case "tempered":
            return WeightedSampler(draw_weights(manifest, labels, data), seed)
        case "natural":
            return RepeatSampler(np.ones(len(manifest), dtype=np.int64), seed)
        case "oversample":
            return RepeatSampler(draws_per_epoch(manifest, labels, data), seed)


@dataclass(frozen=True, slots=True)
class RankInfo:
    """Which of a run's world_size this one is.

    Attributes:
        rank: Its number, from 0.
        world_size: How many there are, on all machines.
    """

    rank: int = 0
    world_size: int = 1

    def of_batch(self, batch_size: int) -> int:
        """Photos of a batch that each process has.

        Raises:
            RecipeError: If the batch cannot be shared evenly.
        """
        if batch_size % self.world_size:
            reason = f"is {batch_size}, which {self.world_size} world_size cannot share evenly"
            raise RecipeError("`optimisation.batch_size`", reason, "Give a multiple of the number of world_size")
        return batch_size // self.world_size


class TrainingBatches(BatchSampler):
    """This process's part of each batch of an epoch, from the first batch that is still to be seen.

    The batches are those that one process alone would see; of each, a process has every `world_size`-th draw. An
    epoch shorter than one batch is one batch, cut so that all parts are of one size.

    Args:
        draws: The draws of an epoch, the same in every process.
        batch_size: PhotoSampler a batch, over all world_size.
        share: This process.

    Raises:
        RecipeError: If a batch cannot be shared evenly, or an epoch has fewer draws than there are world_size.
    """

    skip = 0

    def __init__(self, draws: Sampler[Any], batch_size: int, share: RankInfo) -> None:
        n_draws = len(draws)  # type: ignore[arg-type] # torch's own type of a sampler has no length
        super().__init__(draws, batch_size, drop_last=n_draws > batch_size)
        share.of_batch(batch_size)
        if n_draws < share.world_size:
            reason = f"an epoch draws {n_draws} photos, fewer than there are world_size"
            raise RecipeError("--devices", reason, "Give fewer devices")
        self.share = share

    def __iter__(self) -> Iterator[list[Any]]:
        """The batches that are left."""
        rank, world_size = self.share.rank, self.share.world_size
        for batch in islice(super().__iter__(), self.skip, None):
            yield batch[rank : len(batch) // world_size * world_size : world_size]


class ValidationBatches(Sampler[list[int]]):
    """This process's part of the validation photos, each photo in one process, the same number of batches in all.

    Processes wait for each other in every batch, so that one must not have more. Where there are fewer photos than
    world_size, every process has all of them, which leaves means as they are.

    Args:
        n_photos: Number of photos, at least one.
        batch_size: Photos a batch, over all world_size; the last may be larger by one in each process.
        share: This process.
    """

    def __init__(self, n_photos: int, batch_size: int, share: RankInfo) -> None:
        alone = n_photos < share.world_size
        self.rows = np.arange(n_photos) if alone else np.arange(share.rank, n_photos, share.world_size)
        self.size = share.of_batch(batch_size)
        smallest_part = n_photos if alone else n_photos // share.world_size
        self.count = -(-smallest_part // self.size)

    def __len__(self) -> int:
        """Number of batches."""
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        """Rows of each batch."""
        starts = np.arange(1, self.count) * self.size
        return (batch.tolist() for batch in np.split(self.rows, starts))
