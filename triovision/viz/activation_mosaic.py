"""Mosaic of the activations of one stage of a network: one small picture per channel."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from triovision.viz.overlays import heat_colors
from triovision.viz.palette import Palette

_LONGER_SIDE_PX: Final = 160  # of one picture
_GAP_PX: Final = 6


def activation_mosaic(maps_khw: NDArray[np.float32], palette: Palette) -> Image.Image:
    """Draw maps as a grid of pictures, row by row, without interpolation.

    Args:
        maps_khw: One map per channel, shape `(k, height, width)`. Each has its own scale from its least value (black)
            to its greatest (light yellow), because channels of one stage may differ by orders of magnitude.
        palette: Its background fills the gaps.

    Returns:
        RGB image with about as many columns as rows.

    Raises:
        ValueError: If there is no map, or a value is not finite.
    """
    if maps_khw.ndim != 3 or maps_khw.size == 0 or not np.isfinite(maps_khw).all():
        raise ValueError(f"`maps_khw` must be finite and hold at least one map, got shape {maps_khw.shape}")
    count, height, width = maps_khw.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    scale = _LONGER_SIDE_PX / max(height, width)
    tile = max(1, round(width * scale)), max(1, round(height * scale))
    step_x, step_y = tile[0] + _GAP_PX, tile[1] + _GAP_PX
    mosaic = Image.new("RGB", (columns * step_x - _GAP_PX, rows * step_y - _GAP_PX), palette.background)
    for number, map_hw in enumerate(maps_khw):
        row, column = divmod(number, columns)
        picture = heat_colors(_scaled(map_hw)).resize(tile, Image.Resampling.NEAREST)
        mosaic.paste(picture, (column * step_x, row * step_y))
    return mosaic


def _scaled(map_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map from 0 to 1; all 0 where it is even."""
    low, high = map_hw.min(), map_hw.max()
    return (map_hw - low) / (high - low) if high > low else np.zeros_like(map_hw)
