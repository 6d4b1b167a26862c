"""How the batches of an epoch are shared between the world_size of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import BatchSampler, Sampler

from triovision.errors import RecipeError


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
