"""What the frozen part of the network makes of each photo, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from triovision.inference.registry import choose_device
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.dataset import Sample, ValidationPhotos
from triovision.train.data.feature_cache import collate_features, frozen_features
from triovision.train.data.located import LocatedPhotos
from triovision.train.data.samplers import SampleKey
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.recipes.position_recipe import GpsRecipe

log = logging.getLogger(__name__)
_BATCH = 64


@dataclass(frozen=True)
class KeptFeatures(Dataset[Sample | None]):
    """Output of the frozen part for some photos, with the number of each.

    Attributes:
        store: float16 arrays by the number of the photo among those with a position.
        rows: Numbers of these photos.
    """

    store: ArrayStore
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.rows)

    def __getitem__(self, draw: SampleKey | int) -> Sample | None:
        """Output of the frozen part, float16 of shape `(c, h, w)`, and number of the photo."""
        row = int(self.rows[draw[0] if isinstance(draw, tuple) else draw])
        found = self.store.get(row)
        return None if found is None else (torch.from_numpy(found.copy()), row)


def kept_features(
    frozen: nn.Module, photos: LocatedPhotos, recipe: GpsRecipe, cache: Path, workers: int, bad: UnreadablePhotos
) -> ArrayStore:
    """Pass every photo with a position through the frozen part, unless that was done; a killed build goes on.

    The cache depends on the photos, the weights and the preprocessing alone, so that runs, folds and trials share it.

    Args:
        frozen: See `cut_frozen_part`.
        photos: Photos with a position.
        recipe: Says what the network sees.
        cache: Folder of all caches.
        workers: Processes that decode photos.
        bad: Where photos that cannot be read are listed.

    Returns:
        Arrays by the number of the photo; those that cannot be read have none.

    Raises:
        RecipeError: If the disk is full or too many photos cannot be read.
    """
    manifest = photos.manifest
    files = hashlib.sha256("\0".join(manifest.table["file"]).encode()).hexdigest()
    about = {
        "photos": f"{manifest.root.resolve()} {files}",
        "preprocessing": recipe.preprocessing.model_dump_json(),
    }
    pictures = ValidationPhotos(manifest, (), recipe.preprocessing, bad=bad)
    store = frozen_features(cache, frozen.to(choose_device(None)), pictures, about, workers).store
    bad.check()
    return store


def image_features(network: nn.Module, store: ArrayStore, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """What the backbone gives for photos, shape `(n, n_image_features)`.

    Args:
        network: A network without its frozen part, in evaluation mode.
        store: Output of that part.
        rows: Numbers of the photos; all of them have an array.
    """
    device = choose_device(None)
    resnet = network.get_submodule("resnet").to(device)
    loader = DataLoader(KeptFeatures(store, rows), _BATCH, collate_fn=collate_features)
    with torch.inference_mode():
        found: list[Tensor] = [resnet(batch.to(device)).cpu() for batch, _ in loader]
    features: NDArray[np.float32] = torch.cat(found).numpy()
    return features
