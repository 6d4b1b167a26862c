"""Resize, crop and normalisation of photos, shared by training and inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

Channels = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class Preprocessing(BaseModel):
    """Input of a network.

    Attributes:
        input_size: Side of the square input in pixels.
        interpolation: Filter of the (antialiased) resize.
        mean: Mean of each channel on the scale 0 to 1.
        std: Standard deviation of each channel on the scale 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: int = Field(ge=32, le=1024)
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: Channels
    std: tuple[Positive, Positive, Positive]

    def image(self, image_hwc: NDArray[np.uint8]) -> Tensor:
        """Resize the shorter side to the input size and keep the centre square.

        Args:
            image_hwc: `uint8` pixels of shape `(height, width, 3)`.

        Returns:
            `uint8` tensor of shape `(3, input_size, input_size)`.
        """
        height, width = image_hwc.shape[:2]
        # Crop first: pixels outside the square need no resizing.
        left, top, right, bottom = centre_square(width, height)
        square_hwc = image_hwc[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
        # A copy, because photos are read-only; permute() keeps it channels-last, the fastest layout for uint8.
        square_nchw = torch.from_numpy(square_hwc.copy())[None].permute(0, 3, 1, 2)
        size = [self.input_size, self.input_size]
        resized_nchw = F.interpolate(square_nchw, size, mode=self.interpolation, antialias=True)
        return resized_nchw[0]

    def normalise(self, batch_nchw: Tensor) -> Tensor:
        """Convert `uint8` images `(n, 3, h, w)` to channels-last `float32`, centred and scaled."""
        mean = torch.tensor(self.mean, device=batch_nchw.device).mul(255).view(1, 3, 1, 1)
        scale = torch.tensor(self.std, device=batch_nchw.device).mul(255).view(1, 3, 1, 1)
        return batch_nchw.float().sub_(mean).div_(scale).contiguous(memory_format=torch.channels_last)

    def batch(self, images_hwc: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Return images of any size as one normalised `batch_nchw`."""
        return self.normalise(torch.stack([self.image(image_hwc) for image_hwc in images_hwc]))


def centre_square(width: int, height: int) -> tuple[float, float, float, float]:
    """Return the centre square of an image: `(left, top, right, bottom)` as fractions of width and height."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left / width, top / height, (left + side) / width, (top + side) / height
