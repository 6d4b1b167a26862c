"""Outputs of a network for the photos of a manifest or a dataset."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from triovision.errors import RecipeError
from triovision.inference.device import forward
from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.dataset import Sample, ValidationPhotos, collate
from triovision.train.data.manifest import Manifest
from triovision.train.recipes.country_recipe import Recipe


def network_outputs(network: nn.Module, manifest: Manifest, recipe: Recipe, workers: int) -> NDArray[np.float32]:
    """Outputs of a network for the photos of a manifest, in order.

    Raises:
        RecipeError: If a photo cannot be read, because metrics over fewer photos would not be comparable.
    """
    photos = ValidationPhotos(manifest, (), recipe.preprocessing)
    outputs, _ = readable_outputs(network, photos, recipe.preprocessing, workers)
    if len(outputs) != len(manifest):
        missing = len(manifest) - len(outputs)
        raise RecipeError(
            str(manifest.root), f"{missing} photos cannot be read", "Restore them (see the warnings above)"
        )
    return outputs


def readable_outputs(
    network: nn.Module, photos: Dataset[Sample | None], preprocessing: Preprocessing, workers: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Outputs of a network and targets, in order, without the unreadable photos."""
    device = next(network.parameters()).device
    outputs, targets = [], []
    for batch, target in DataLoader(photos, 64, collate_fn=collate(preprocessing), num_workers=workers):
        outputs.append(forward(network, batch.to(device), torch.float32).cpu().numpy())
        targets.append(target.numpy())
    return np.concatenate(outputs), np.concatenate(targets)
