"""Photos of the class and of the rest, from a manifest or from one subfolder per class; each with a held-out part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as F

from examples.animals.gan.recipe import PREPROCESSING, GanRecipe
from examples.animals.photos import check_values
from triovision.errors import ManifestError
from triovision.train.data.dataset import Sample, ValidationPhotos
from triovision.train.data.image_cache import ImageCache, NetworkInput, open_cache
from triovision.train.data.manifest import Manifest
from triovision.train.data.samplers import SampleKey
from triovision.train.data.unreadable import UnreadablePhotos


def divide(photos: Manifest, recipe: GanRecipe) -> dict[str, Manifest]:
    """Divide photos into class and rest, and each into two parts at random.

    Args:
        photos: All photos.
        recipe: The class, the fraction that is held out, the number of photos of the rest, and the seed.

    Returns:
        `training` and `held_out` photos of the class; `rest` and `held_out_rest`. The GAN learns from `training`, the
        classifier that judges it from `training` and `rest`.

    Raises:
        ManifestError: If a value of the class is missing, or class or rest have too few photos for two parts.
    """
    section = recipe.data
    check_values(photos, section.values, str(photos.root), "Correct `data.values` or `data.column`")
    positive = photos.labels.isin(section.values)
    random = np.random.default_rng(recipe.seed)
    parts: dict[str, Manifest] = {}
    for name, names, mask, most in (
        (f"The class {', '.join(section.values)}", ("training", "held_out"), positive, len(photos)),
        ("The rest", ("rest", "held_out_rest"), ~positive, recipe.evaluation.rest_photos),
    ):
        rows = random.permutation(np.flatnonzero(mask))[:most]
        n_held_out = round(section.held_out * len(rows))
        if min(n_held_out, len(rows) - n_held_out) < 2:  # FID needs two
            reason = f"has {len(rows)} photos by the column {section.column}, too few to hold two out"
            raise ManifestError(name, reason, "Correct `data.values` and `data.column`, or add photos")
        for part, chosen in zip(names, (rows[n_held_out:], rows[:n_held_out]), strict=True):
            parts[part] = photos.where(pd.Series(np.isin(np.arange(len(photos)), chosen)))
    return parts


class SmallPhotos(Dataset[Sample | None]):
    """Decoded photos of 64 x 64 pixels, in memory-mapped files; mirrored or not by the seed of the key."""

    def __init__(self, photos: Manifest, cache: ImageCache) -> None:
        self.photos = ValidationPhotos(photos, (), PREPROCESSING, cache)

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.photos)

    def __getitem__(self, key: SampleKey) -> Sample | None:
        """`uint8` picture `(3, 64, 64)` and no label; None for an unreadable photo."""
        row, seed = key
        sample = self.photos[row]
        return (F.horizontal_flip(sample[0]), sample[1]) if sample is not None and seed % 2 else sample

    def pictures(self) -> Tensor:
        """All readable photos as they are, `uint8` of shape `(n, 3, 64, 64)`."""
        samples = [self.photos[row] for row in range(len(self))]
        return torch.stack([sample[0] for sample in samples if sample is not None])


def decode(photos: Manifest, part: Manifest, cache: Path, workers: int, unreadable: UnreadablePhotos) -> SmallPhotos:
    """Decode the photos of a part that the cache lacks, and leave the unreadable ones out.

    Args:
        photos: All photos, whose rows the cache counts.
        part: Those that are needed.
        cache: Folder of caches.
        workers: Processes that decode.
        unreadable: List of unreadable photos.

    Raises:
        RecipeError: If too many photos cannot be read, or the disk is full.
    """
    images = open_cache(cache, photos, list(part.table["file"]), NetworkInput(PREPROCESSING), workers, unreadable)
    rows = np.array([images.rows[file] for file in part.table["file"]], dtype=np.int64)
    return SmallPhotos(part.where(pd.Series(images.store.has(rows))), images)
