"""Channel statistics of the training photos, for recipes with `normalisation = "z_score"`."""

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

#: Photos of which the statistics are computed: their means have a deviation of about 0.2, so the error is 0.002.
_MAX_PHOTOS = 10_000


def with_statistics(recipe: Recipe, training: Manifest, folder: Path, workers: int) -> Recipe:
    """The recipe with the channel statistics of its training photos, if it normalises by them.

    Args:
        recipe: Recipe with the normalisation.
        training: Training photos.
        folder: Folder of the run; the statistics are read from its `run.json` if it exists.
        workers: Processes that decode photos.
    """
    if recipe.normalisation != "z_score":
        return recipe
    config = folder / "run.json"
    if config.exists():
        statistics = Recipe.model_validate(json.loads(config.read_text(encoding="utf-8"))["recipe"]).preprocessing
    else:
        statistics = channel_statistics(recipe.preprocessing, training, recipe.seed, workers)
    z_score = recipe.preprocessing.model_copy(update={"mean": statistics.mean, "std": statistics.std})
    return recipe.model_copy(update={"preprocessing": z_score})


def channel_statistics(preprocessing: Preprocessing, photos: Manifest, seed: int, workers: int) -> Preprocessing:
    """The preprocessing with the mean and standard deviation of each channel over the pixels of preprocessed photos.

    Args:
        preprocessing: Size and interpolation of the images.
        photos: Photos; if more than 10,000, a random sample of 10,000.
        seed: Seed of the sample.
        workers: Processes that decode photos.
    """
    unit = Preprocessing(
        input_size=preprocessing.input_size, interpolation=preprocessing.interpolation, mean=(0, 0, 0), std=(1, 1, 1)
    )
    chosen = np.random.default_rng(seed).permutation(len(photos))[:_MAX_PHOTOS]
    images = Subset(ValidationPhotos(photos, (), unit), chosen.tolist())
    sums, squares, pixels = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
    for batch_nchw, _ in DataLoader(images, batch_size=32, collate_fn=collate(unit), num_workers=workers):
        values = batch_nchw.double()
        sums += values.sum(dim=(0, 2, 3))
        squares += values.square().sum(dim=(0, 2, 3))
        pixels += values[:, 0].numel()
    mean = sums / pixels
    # At least half a grey level, because photos of one colour have a deviation of 0.
    std = (squares / pixels - mean.square()).clamp(min=(0.5 / 255) ** 2).sqrt()
    return Preprocessing(**unit.model_dump() | {"mean": tuple(mean.tolist()), "std": tuple(std.tolist())})
