"""Overlays of heat maps on photos."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from triovision.results import Explanation, Photo

_LONGEST_SIDE_PX = 1024  # of an image on the screen; a larger one is only slower
_UNSEEN_BRIGHTNESS = 0.55  # of the part of a photo outside of the model's input


def overlay(photo: Photo, explanation: Explanation, opacity: float = 0.5) -> Image.Image:
    """Blend the heat map over the model's input, and show the rest of the photo in dim grey.

    Args:
        photo: The photo.
        explanation: Its heat map, which covers `explanation.box` of the photo.
        opacity: 0 shows only the photo, 1 only the heat map.

    Returns:
        RGB image with the aspect ratio of the photo, at most 1024 pixels long.

    Raises:
        ValueError: If `opacity` lies outside [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"`opacity` must lie in [0, 1], got {opacity}")
    shown = shown_photo(photo)
    grey = np.asarray(shown.convert("L"), dtype=np.float32) * _UNSEEN_BRIGHTNESS
    result = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    left, top, right, bottom = _box_px(explanation, shown.size)
    seen = shown.crop((left, top, right, bottom))
    heat = Image.fromarray(explanation.heatmap_hw).resize(seen.size, Image.Resampling.BICUBIC)
    result.paste(Image.blend(seen, _colored(np.asarray(heat)), opacity), (left, top))
    return result


def raw_map(photo: Photo, explanation: Explanation) -> Image.Image:
    """The heat map without interpolation, one rectangle per cell, at its place on the photo; grey elsewhere."""
    size = shown_photo(photo).size
    left, top, right, bottom = _box_px(explanation, size)
    result = Image.new("RGB", size, (127, 127, 127))
    cells = _colored(explanation.heatmap_hw)
    result.paste(cells.resize((right - left, bottom - top), Image.Resampling.NEAREST), (left, top))
    return result


def shown_photo(photo: Photo) -> Image.Image:
    """The photo, resized to at most 1024 pixels for the screen."""
    image = Image.fromarray(photo.image_hwc)
    image.thumbnail((_LONGEST_SIDE_PX, _LONGEST_SIDE_PX))
    return image


def jpeg_bytes(image: Image.Image) -> bytes:
    """The pixels as a JPEG file for the screen, a quarter as large as at the quality of 100 that Streamlit uses."""
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()


def png_bytes(image: Image.Image) -> bytes:
    """The pixels as a PNG file without EXIF, comments and colour profile."""
    buffer = BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def _box_px(explanation: Explanation, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box of an explanation in pixels: left, top, right, bottom; at least one pixel wide and high."""
    left, top, right, bottom = explanation.box
    left_px, top_px = (min(round(edge * side), side - 1) for edge, side in zip((left, top), size, strict=True))
    right_px = max(round(right * size[0]), left_px + 1)
    bottom_px = max(round(bottom * size[1]), top_px + 1)
    return left_px, top_px, right_px, bottom_px


def _colored(heatmap_hw: NDArray[np.float32]) -> Image.Image:
    index_hw = np.rint(np.clip(heatmap_hw, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(_inferno()[index_hw])


@cache
def _inferno() -> NDArray[np.uint8]:
    """The colour map Inferno as 256 RGB rows: perceptually uniform, its lightness increases with the value."""
    stops = np.array([hex_to_rgb(stop) for stop in sequential.Inferno], dtype=np.float64)
    at = np.linspace(0, 1, len(stops))
    table = [np.interp(np.linspace(0, 1, 256), at, stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(table, axis=1)).astype(np.uint8)
