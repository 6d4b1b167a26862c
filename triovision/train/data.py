"""Photos of a manifest as batches, and how often each is drawn."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from triovision.errors import PhotoError
from triovision.inference.preprocessing import Preprocessing
from triovision.photo import read_photo
from triovision.train.augmentation import training_transform
from triovision.train.manifest import Manifest
from triovision.train.recipe import Data, Recipe

log = logging.getLogger(__name__)

#: Target of a photo whose country has no label: the network should be unsure.
NO_LABEL = -1

Draw = tuple[int, int]
Sample = tuple[Tensor, int]


def choose_labels(training: Manifest, min_photos: int) -> tuple[str, ...]:
    """Countries with at least `min_photos` training photos, in alphabetical order."""
    counts = Counter(training.table["country"])
    return tuple(sorted(country for country, n in counts.items() if n >= min_photos))


def targets(manifest: Manifest, labels: Sequence[str]) -> NDArray[np.int64]:
    """Index of each photo's country among `labels`, or `NO_LABEL`."""
    index = {country: i for i, country in enumerate(labels)}
    return np.array([index.get(country, NO_LABEL) for country in manifest.table["country"]], dtype=np.int64)


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


class WeightedDraws(Sampler[Draw]):
    """As many draws as there are photos, with replacement: `(row, seed of its random changes)`.

    The draws depend on the seed and the epoch alone, so a resumed run sees what an uninterrupted one would.
    """

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        self.weights = weights
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Draws in an epoch."""
        return len(self.weights)

    def __iter__(self) -> Iterator[Draw]:
        """The draws of the current epoch."""
        random = np.random.default_rng((self.seed, self.epoch))
        rows = random.choice(len(self.weights), size=len(self.weights), p=self.weights)
        seeds = random.integers(2**62, size=len(rows))
        return iter(list(zip(rows.tolist(), seeds.tolist(), strict=True)))


class TrainingPhotos(Dataset[Sample | None]):
    """Randomly changed pictures with their targets; a photo that cannot be read is logged and None."""

    def __init__(self, manifest: Manifest, labels: Sequence[str], recipe: Recipe) -> None:
        self.paths = manifest.paths
        self.targets = targets(manifest, labels)
        self.transform = training_transform(recipe.augmentation)

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.paths)

    def __getitem__(self, draw: Draw) -> Sample | None:
        """`uint8` picture `(3, train_size, train_size)` and target."""
        row, seed = draw
        image_hwc = _pixels(self, row)
        if image_hwc is None:
            return None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            changed = self.transform(torch.from_numpy(image_hwc.copy()).permute(2, 0, 1))
        return changed, int(self.targets[row])


class ValidationPhotos(Dataset[Sample | None]):
    """Pictures as the finished model sees them, with their targets."""

    def __init__(self, manifest: Manifest, labels: Sequence[str], preprocessing: Preprocessing) -> None:
        self.paths = manifest.paths
        self.targets = targets(manifest, labels)
        self.preprocessing = preprocessing

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.paths)

    def __getitem__(self, row: int) -> Sample | None:
        """`uint8` picture `(3, input_size, input_size)` and target."""
        image_hwc = _pixels(self, row)
        return None if image_hwc is None else (self.preprocessing.image(image_hwc), int(self.targets[row]))


def collate(preprocessing: Preprocessing) -> Callable[[list[Sample | None]], tuple[Tensor, Tensor]]:
    """Stack what could be read into `batch_nchw` (normalised) and targets."""

    def stack(samples: list[Sample | None]) -> tuple[Tensor, Tensor]:
        read = [sample for sample in samples if sample is not None]
        if not read:
            raise PhotoError("A whole batch", "could not be read", "See the warnings above; check the photos' folder")
        batch = preprocessing.normalise(torch.stack([image for image, _ in read]))
        return batch, torch.tensor([target for _, target in read])

    return stack


def _pixels(photos: TrainingPhotos | ValidationPhotos, row: int) -> NDArray[np.uint8] | None:
    path = photos.paths[row]
    try:
        return read_photo(path.read_bytes(), path.name).image_hwc
    except (OSError, PhotoError) as exc:
        log.warning("skipped %s: %s", path, exc)
        return None
