"""Which photos an epoch draws, and how often."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from triovision.train.data.manifest import Manifest
from triovision.train.recipes.sections import Data

SampleKey = tuple[int, int]


def draw_weights(manifest: Manifest, labels: Sequence[str], data: Data) -> NDArray[np.float64]:
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


def draws_per_epoch(manifest: Manifest, labels: Sequence[str], data: Data) -> NDArray[np.int64]:
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


def build_sampler(manifest: Manifest, labels: Sequence[str], data: Data, seed: int) -> PhotoSampler:
    """The sampler that the recipe names."""
    match data.sampler:
        case "tempered":
            return WeightedSampler(draw_weights(manifest, labels, data), seed)
        case "natural":
            return RepeatSampler(np.ones(len(manifest), dtype=np.int64), seed)
        case "oversample":
            return RepeatSampler(draws_per_epoch(manifest, labels, data), seed)
