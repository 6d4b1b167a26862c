"""Resize, crop and normalisation of photos, shared by training and inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from torch import Tensor
from torch.nn import functional as F

#: Sides of a whole picture are multiples of the stride of convolutional networks.
_STRIDE = 32
#: Longest side of a whole picture in units of its shorter side; of a longer panorama the centre is seen.
_MAX_ASPECT = 2

Channels = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Positive = Annotated[float, Field(gt=1e-3, le=1e3)]


class Preprocessing(BaseModel):
    """Input of a network.

    Attributes:
        input_size: Shorter side of the input in pixels.
        crop: Part of the photo that the network sees: its centre square, or the whole at about its own aspect.
        interpolation: Filter of the (antialiased) resize.
        mean: Mean of each channel on the scale 0 to 1.
        std: Standard deviation of each channel on the scale 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: int = Field(ge=32, le=1024)
    crop: Literal["centre_square", "whole"] = "centre_square"
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: Channels
    std: tuple[Positive, Positive, Positive]

    def seen_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the part of an image that the network sees: `(left, top, right, bottom)` as fractions."""
        aspect = 1 if self.crop == "centre_square" else _MAX_ASPECT
        return centre_box(width, height, aspect)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the height and width in pixels of the input made from an image of some width and height."""
        if self.crop == "centre_square":
            return self.input_size, self.input_size
        sides = (self.input_size * side / min(width, height) for side in (height, width))
        longest = self.input_size * _MAX_ASPECT // _STRIDE * _STRIDE
        rows, columns = (min(max(round(side / _STRIDE) * _STRIDE, self.input_size), longest) for side in sides)
        return rows, columns

    def image(self, image_hwc: NDArray[np.uint8]) -> Tensor:
        """Resize the part of an image that the network sees.

        Args:
            image_hwc: `uint8` pixels of shape `(height, width, 3)`.

        Returns:
            `uint8` tensor of shape `(3, *size(width, height))`.
        """
        height, width = image_hwc.shape[:2]
        # Crop first: pixels outside need no resizing.
        left, top, right, bottom = self.seen_box(width, height)
        part_hwc = image_hwc[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
        # A copy, because photos are read-only; permute() keeps it channels-last, the fastest layout for uint8.
        part_nchw = torch.from_numpy(part_hwc.copy())[None].permute(0, 3, 1, 2)
        size = list(self.size(width, height))
        resized_nchw = F.interpolate(part_nchw, size, mode=self.interpolation, antialias=True)
        return resized_nchw[0]

    def normalise(self, batch_nchw: Tensor) -> Tensor:
        """Convert `uint8` images `(n, 3, h, w)` to channels-last `float32`, centred and scaled."""
        mean = torch.tensor(self.mean, device=batch_nchw.device).mul(255).view(1, 3, 1, 1)
        scale = torch.tensor(self.std, device=batch_nchw.device).mul(255).view(1, 3, 1, 1)
        return batch_nchw.float().sub_(mean).div_(scale).contiguous(memory_format=torch.channels_last)

    def batch(self, images_hwc: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Return images as one normalised `batch_nchw`; of whole pictures, all must have one `size`."""
        return self.normalise(torch.stack([self.image(image_hwc) for image_hwc in images_hwc]))


def centre_box(width: int, height: int, max_aspect: int = 1) -> tuple[float, float, float, float]:
    """Return the centre part of an image whose longer side is at most `max_aspect` times the shorter.

    Returns:
        `(left, top, right, bottom)` as fractions of width and height; by default the centre square.
    """
    longest = min(width, height) * max_aspect
    columns, rows = min(width, longest), min(height, longest)
    left, top = (width - columns) // 2, (height - rows) // 2
    return left / width, top / height, (left + columns) / width, (top + rows) / height
