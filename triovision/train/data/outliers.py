"""Pictures that show no place, made from training photos: what a classifier should be unsure about."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from triovision.train.data.dataset import NO_LABEL, Sample, ValidationPhotos

Picture = NDArray[np.uint8]


class OutlierImages(Dataset[Sample | None]):
    """Each made from a random training photo; None where that photo cannot be read.

    Args:
        photos: Photos to make them from.
        count: How many.
        seed: Seed of the photos and of what is done to them.
    """

    def __init__(self, photos: ValidationPhotos, count: int, seed: int) -> None:
        self.photos = photos
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        """Number of pictures."""
        return self.count

    def __getitem__(self, row: int) -> Sample | None:
        """`uint8` picture `(3, input_size, input_size)` and `NO_LABEL`."""
        random = np.random.default_rng((self.seed, row))
        sample = self.photos[int(random.integers(len(self.photos)))]
        if sample is None:
            return None
        changed_hwc = _WAYS[row % len(_WAYS)](sample[0].permute(1, 2, 0).numpy(), random)
        return torch.from_numpy(changed_hwc).permute(2, 0, 1), NO_LABEL


def magnified(square_hwc: Picture, random: np.random.Generator) -> Picture:
    """A spot of 4 to 12 % of the side, magnified: surface without a thing."""
    side = len(square_hwc)
    spot = max(4, round(side * random.uniform(0.04, 0.12)))
    top, left = random.integers(side - spot + 1, size=2)
    return _resized(square_hwc[top : top + spot, left : left + spot], side)


def shuffled(square_hwc: Picture, random: np.random.Generator) -> Picture:
    """Tiles in random order, as the negatives of "CSI" (Tack et al., 2020)."""
    tiles = int(random.choice([6, 8, 12, 16]))
    edge = -(-len(square_hwc) // tiles)
    grid = _resized(square_hwc, tiles * edge).reshape(tiles, edge, tiles, edge, 3).swapaxes(1, 2)
    mixed = random.permutation(grid.reshape(tiles * tiles, edge, edge, 3)).reshape(tiles, tiles, edge, edge, 3)
    return _resized(mixed.swapaxes(1, 2).reshape(tiles * edge, tiles * edge, 3), len(square_hwc))


def blurred(square_hwc: Picture, random: np.random.Generator) -> Picture:
    """One to five pixels a side, magnified: colours without a form."""
    return _resized(_resized(square_hwc, int(random.integers(1, 6))), len(square_hwc))


def random_phases(square_hwc: Picture, random: np.random.Generator) -> Picture:
    """The photo's spectrum with the phases of noise: "Random Phase Textures" (Galerne, Gousseau and Morel, 2011)."""
    photo = square_hwc.astype(np.float64)
    transform = partial(np.fft.fft2, axes=(0, 1))
    turn = np.exp(1j * np.angle(np.fft.fft2(random.normal(size=photo.shape[:2]))))[..., None]
    texture = np.real(np.fft.ifft2(np.abs(transform(photo - photo.mean((0, 1)))) * turn, axes=(0, 1)))
    changed: Picture = np.clip(texture + photo.mean((0, 1)), 0, 255).astype(np.uint8)
    return changed


_WAYS: tuple[Callable[[Picture, np.random.Generator], Picture], ...] = (magnified, shuffled, blurred, random_phases)


def _resized(image_hwc: Picture, side: int) -> Picture:
    if image_hwc.shape[:2] == (side, side):
        return image_hwc
    # Antialiased, so that shrinking averages.
    chw = torch.from_numpy(np.ascontiguousarray(image_hwc)).permute(2, 0, 1)
    resized: Picture = F.resize(chw, [side, side], InterpolationMode.BICUBIC, antialias=True).permute(1, 2, 0).numpy()
    return resized
