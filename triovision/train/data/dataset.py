"""Datasets of training and validation photos, their targets, and the collation of batches."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from triovision.errors import PhotoError
from triovision.inference.preprocessing import Preprocessing
from triovision.photo import read_photo
from triovision.train.data.image_cache import ImageCache
from triovision.train.data.manifest import Manifest
from triovision.train.data.samplers import SampleKey
from triovision.train.data.transforms import rare_transform, training_transform
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.recipes.country_recipe import Recipe

log = logging.getLogger(__name__)

#: Target of a photo whose country (or other label) the model does not have.
NO_LABEL = -1

Sample = tuple[Tensor, int]


def choose_labels(training: Manifest, min_photos: int) -> tuple[str, ...]:
    """Countries, or other labels of the manifest, with at least `min_photos` training photos, in alphabetical order."""
    counts = Counter(training.labels)
    return tuple(sorted(label for label, n in counts.items() if n >= min_photos))


def targets(manifest: Manifest, labels: Sequence[str]) -> NDArray[np.int64]:
    """Index of the label of each photo in `labels`, or `NO_LABEL`; shape `(n,)`."""
    index = {label: i for i, label in enumerate(labels)}
    return np.array([index.get(label, NO_LABEL) for label in manifest.labels], dtype=np.int64)


def rare_rows(training: Manifest, below: int) -> NDArray[np.bool_]:
    """Mask of the photos whose label has fewer than `below` training photos."""
    counts = Counter(training.labels)
    return np.array([counts[label] < below for label in training.labels], dtype=np.bool_)


class _ManifestPhotos(Dataset[Sample | None]):
    """Decoded photos of a manifest with their targets; an unreadable photo is logged, listed and None."""

    def __init__(
        self,
        manifest: Manifest,
        labels: Sequence[str],
        preprocessing: Preprocessing,
        cache: ImageCache | None = None,
        unreadable: UnreadablePhotos | None = None,
    ) -> None:
        self.root, self.files = manifest.root, list(manifest.table["file"])
        self.targets = targets(manifest, labels)
        self.preprocessing = preprocessing
        self.cache, self.unreadable = cache, unreadable

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.files)

    def _pixels(self, row: int) -> NDArray[np.uint8] | None:
        file = self.files[row]
        if self.cache is not None:
            return self.cache.image(file)
        try:
            return read_photo((self.root / file).read_bytes(), file).image_hwc
        except (OSError, PhotoError) as exc:
            log.warning("skipped %s: %s", file, exc)
            if self.unreadable is not None:
                self.unreadable.add(file, str(exc))
            return None


class TrainingPhotos(_ManifestPhotos):
    """Augmented images with their targets."""

    def __init__(
        self,
        manifest: Manifest,
        labels: Sequence[str],
        recipe: Recipe,
        cache: ImageCache | None = None,
        unreadable: UnreadablePhotos | None = None,
    ) -> None:
        super().__init__(manifest, labels, recipe.preprocessing, cache, unreadable)
        self.transform = training_transform(recipe.augmentation)
        self.rare_transform = rare_transform(recipe.augmentation)
        self.rare = rare_rows(manifest, recipe.augmentation.rare_below)

    def __getitem__(self, key: SampleKey) -> Sample | None:
        """`uint8` image `(3, train_size, train_size)` and target."""
        row, seed = key
        image_hwc = self._pixels(row)
        if image_hwc is None:
            return None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            transform = self.rare_transform if self.rare[row] else self.transform
            augmented = transform(torch.from_numpy(image_hwc.copy()).permute(2, 0, 1))
        return augmented, int(self.targets[row])


class ValidationPhotos(_ManifestPhotos):
    """Preprocessed images with their targets."""

    def __getitem__(self, row: int) -> Sample | None:
        """`uint8` image `(3, input_size, input_size)` and target."""
        image_hwc = self._pixels(row)
        if image_hwc is None:
            return None
        if self.cache is not None:  # holds preprocessed images
            return torch.from_numpy(image_hwc.copy()).permute(2, 0, 1), int(self.targets[row])
        return self.preprocessing.image(image_hwc), int(self.targets[row])


def collate(preprocessing: Preprocessing) -> Callable[[list[Sample | None]], tuple[Tensor, Tensor]]:
    """Function that stacks the readable samples into `batch_nchw` (normalised) and targets."""

    def stack(samples: list[Sample | None]) -> tuple[Tensor, Tensor]:
        read = [sample for sample in samples if sample is not None]
        if not read:
            raise PhotoError(
                "A batch", "has no readable photo", "Check the folder of the photos; see the warnings above"
            )
        batch = preprocessing.normalise(torch.stack([image for image, _ in read]))
        return batch, torch.tensor([target for _, target in read])

    return stack
