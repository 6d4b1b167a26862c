"""Mean and standard deviation of the training photos, for recipes that normalise by them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.dataset import ValidationPhotos, collate
from triovision.train.data.manifest import Manifest
from triovision.train.recipes.country_recipe import Recipe

_ENOUGH = 10_000  # photos: a photo's mean deviates by some 0.2, so that the mean of so many is good to 0.002


def measured(recipe: Recipe, training: Manifest, folder: Path, workers: int) -> Recipe:
    """The recipe with the mean and the deviation of its training photos, if it normalises by them.

    Args:
        recipe: Names the normalisation.
        training: Training photos.
        folder: Folder of the run; its `run.json` keeps what was measured when the run was begun.
        workers: Processes that decode photos.
    """
    if recipe.normalisation != "z_score":
        return recipe
    begun = folder / "run.json"
    if begun.exists():
        kept = Recipe.model_validate(json.loads(begun.read_text(encoding="utf-8"))["recipe"]).preprocessing
    else:
        kept = channel_statistics(recipe.preprocessing, training, recipe.seed, workers)
    z_score = recipe.preprocessing.model_copy(update={"mean": kept.mean, "std": kept.std})
    return recipe.model_copy(update={"preprocessing": z_score})


def channel_statistics(preprocessing: Preprocessing, photos: Manifest, seed: int, workers: int) -> Preprocessing:
    """The preprocessing with mean and standard deviation of each channel over the pixels that the network sees.

    Args:
        preprocessing: Size and filter of the pictures.
        photos: Photos to measure; of more than 10,000 a random 10,000.
        seed: Seed of their choice.
        workers: Processes that decode photos.
    """
    unit = Preprocessing(
        input_size=preprocessing.input_size, interpolation=preprocessing.interpolation, mean=(0, 0, 0), std=(1, 1, 1)
    )
    chosen = np.random.default_rng(seed).permutation(len(photos))[:_ENOUGH]
    pictures = Subset(ValidationPhotos(photos, (), unit), chosen.tolist())
    sums, squares, pixels = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
    for batch_nchw, _ in DataLoader(pictures, batch_size=32, collate_fn=collate(unit), num_workers=workers):
        values = batch_nchw.double()
        sums += values.sum(dim=(0, 2, 3))
        squares += values.square().sum(dim=(0, 2, 3))
        pixels += values[:, 0].numel()
    mean = sums / pixels
    # Photos of one colour have no deviation to divide by; half a grey level is what 8 bits cannot tell from none.
    std = (squares / pixels - mean.square()).clamp(min=(0.5 / 255) ** 2).sqrt()
    return Preprocessing(**unit.model_dump() | {"mean": tuple(mean.tolist()), "std": tuple(std.tolist())})
