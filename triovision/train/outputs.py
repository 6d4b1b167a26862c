"""What a network puts out for the photos of a manifest."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from triovision.errors import RecipeError
from triovision.inference.precision import forward
from triovision.train.data import ValidationPhotos, collate
from triovision.train.manifest import Manifest
from triovision.train.recipe import Recipe


def network_outputs(network: nn.Module, manifest: Manifest, recipe: Recipe, workers: int) -> NDArray[np.float32]:
    """Outputs of a network for the photos of a manifest, in order.

    Raises:
        RecipeError: If a photo cannot be read: figures over fewer photos would not be comparable.
    """
    photos = ValidationPhotos(manifest, (), recipe.preprocessing)
    loader = DataLoader(photos, 64, collate_fn=collate(recipe.preprocessing), num_workers=workers)
    rows = [forward(network, batch, torch.float32).numpy() for batch, _ in loader]
    outputs: NDArray[np.float32] = np.concatenate(rows)
    if len(outputs) != len(manifest):
        missing = len(manifest) - len(outputs)
        raise RecipeError(
            str(manifest.root), f"{missing} photos cannot be read", "Restore them (see the warnings above)"
        )
    return outputs
