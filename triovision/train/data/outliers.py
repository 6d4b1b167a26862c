"""Outlier images: training photos transformed until they show no place."""

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

Image = NDArray[np.uint8]


class OutlierImages(Dataset[Sample | None]):
    """Images of transformed random training photos; None where the photo is unreadable.

    Args:
        photos: Photos to transform.
        count: Number of images.
        seed: Seed of the choice of photos and of the transforms.
    """

    def __init__(self, photos: ValidationPhotos, count: int, seed: int) -> None:
        self.photos = photos
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        """Number of images."""
        return self.count

    def __getitem__(self, row: int) -> Sample | None:
        """`uint8` image `(3, input_size, input_size)` and `NO_LABEL`."""
        random = np.random.default_rng((self.seed, row))
        sample = self.photos[int(random.integers(len(self.photos)))]
        if sample is None:
            return None
        outlier_hwc = _TRANSFORMS[row % len(_TRANSFORMS)](sample[0].permute(1, 2, 0).numpy(), random)
        return torch.from_numpy(outlier_hwc).permute(2, 0, 1), NO_LABEL


def magnified(square_hwc: Image, random: np.random.Generator) -> Image:
    """Enlarge a crop of 4 to 12 % of the side: a surface without objects."""
    side = len(square_hwc)
    spot = max(4, round(side * random.uniform(0.04, 0.12)))
    top, left = random.integers(side - spot + 1, size=2)
    return _resized(square_hwc[top : top + spot, left : left + spot], side)


def shuffled(square_hwc: Image, random: np.random.Generator) -> Image:
    """Shuffle tiles, as the negatives of "CSI" (Tack et al., 2020)."""
    tiles = int(random.choice([6, 8, 12, 16]))
    edge = -(-len(square_hwc) // tiles)
    grid = _resized(square_hwc, tiles * edge).reshape(tiles, edge, tiles, edge, 3).swapaxes(1, 2)
    mixed = random.permutation(grid.reshape(tiles * tiles, edge, edge, 3)).reshape(tiles, tiles, edge, edge, 3)
    return _resized(mixed.swapaxes(1, 2).reshape(tiles * edge, tiles * edge, 3), len(square_hwc))


def blurred(square_hwc: Image, random: np.random.Generator) -> Image:
    """Reduce to a side of one to five pixels and enlarge: colours without shapes."""
    return _resized(_resized(square_hwc, int(random.integers(1, 6))), len(square_hwc))


def random_phases(square_hwc: Image, random: np.random.Generator) -> Image:
    """Replace the phases by those of noise: "Random Phase Textures" (Galerne, Gousseau and Morel, 2011)."""
    photo = square_hwc.astype(np.float64)
    transform = partial(np.fft.fft2, axes=(0, 1))
    phases = np.exp(1j * np.angle(np.fft.fft2(random.normal(size=photo.shape[:2]))))[..., None]
    texture = np.real(np.fft.ifft2(np.abs(transform(photo - photo.mean((0, 1)))) * phases, axes=(0, 1)))
    outlier: Image = np.clip(texture + photo.mean((0, 1)), 0, 255).astype(np.uint8)
    return outlier


_TRANSFORMS: tuple[Callable[[Image, np.random.Generator], Image], ...] = (magnified, shuffled, blurred, random_phases)


def _resized(image_hwc: Image, side: int) -> Image:
    if image_hwc.shape[:2] == (side, side):
        return image_hwc
    # Antialiasing averages when it reduces.
    chw = torch.from_numpy(np.ascontiguousarray(image_hwc)).permute(2, 0, 1)
    resized: Image = F.resize(chw, [side, side], InterpolationMode.BICUBIC, antialias=True).permute(1, 2, 0).numpy()
    return resized
