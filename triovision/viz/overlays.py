"""Overlays of heat maps on photos."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from triovision.results import Explanation, Photo

_LONGEST_SIDE_PX = 1024  # of an image on the screen; a larger one is only slower
_UNSEEN_BRIGHTNESS = 0.55  # of the part of a photo outside of the model's input
_FOR_RGB: Final = np.array([230, 145, 30], np.float32)  # orange and blue: distinct for colour-blind readers
_AGAINST_RGB: Final = np.array([40, 130, 235], np.float32)
_NEUTRAL_RGB: Final = np.array([240, 240, 240], np.float32)
_FINEST_CELLS: Final = 100  # along the longer side of a signed map over a photo: single pixels could not be seen
_FULL_COLOUR: Final = 0.99  # quantile of a signed map's strength that has the full colour, and all above it


def overlay(photo: Photo, explanation: Explanation, opacity: float = 0.5) -> Image.Image:
    """Lay the heat map over the model's input, and show the rest of the photo in dim grey.

    A signed map tints the photo in grey, so that no colour of the photo is taken for one of the map: orange where it
    is positive, blue where it is negative. Its strongest hundredth has the full colour, because a few pixels of a map
    of gradients exceed all others by far, and the pixels of such a fine map are averaged in groups.

    Args:
        photo: The photo.
        explanation: Its heat map, which covers `explanation.box` of the photo.
        opacity: 0 shows only the photo, 1 only the heat map; of a signed map, its strongest places only.

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
    if explanation.signed:
        heat_hw = _resized(_strong(_grouped(explanation.heatmap_hw)), seen.size)
        grey_hw = np.asarray(seen.convert("L"), np.float32)
        result.paste(tinted(grey_hw, heat_hw.clip(-1, 1) * opacity), (left, top))
    else:
        heat = heat_colors(_resized(explanation.heatmap_hw, seen.size))
        result.paste(Image.blend(seen, heat, opacity), (left, top))
    return result


def tinted(grey_hw: NDArray[np.float32], signed_hw: NDArray[np.floating[Any]]) -> Image.Image:
    """Tint a grey picture: orange where a map is positive, blue where it is negative.

    Args:
        grey_hw: The picture, from 0 to 255.
        signed_hw: The map in [-1, 1], of the same shape; the colour covers the picture at -1 and 1, and 0 leaves it.
    """
    ink_hwc = np.where(signed_hw[..., None] > 0, _FOR_RGB, _AGAINST_RGB)
    weight_hw1 = np.abs(signed_hw)[..., None].clip(0, 1)
    mixed_hwc = grey_hw[..., None] * (1 - weight_hw1) + ink_hwc * weight_hw1
    return Image.fromarray(np.rint(mixed_hwc).clip(0, 255).astype(np.uint8))


def raw_map(photo: Photo, explanation: Explanation) -> Image.Image:
    """The heat map without interpolation, one rectangle per cell, at its place on the photo; grey elsewhere.

    Colours go from black over red to light yellow; those of a signed map from blue over near white at 0 to orange,
    where the strongest hundredth has the full colour.
    """
    size = shown_photo(photo).size
    left, top, right, bottom = _box_px(explanation, size)
    result = Image.new("RGB", size, (127, 127, 127))
    if explanation.signed:
        cells = _colored((_strong(explanation.heatmap_hw) + 1) / 2, _diverging())
    else:
        cells = heat_colors(explanation.heatmap_hw)
    result.paste(cells.resize((right - left, bottom - top), Image.Resampling.NEAREST), (left, top))
    return result


def heat_colors(heatmap_hw: NDArray[np.float32]) -> Image.Image:
    """A map in [0, 1] from black over red to light yellow: the colour map Inferno."""
    return _colored(heatmap_hw, _inferno())


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


def _resized(heatmap_hw: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(heatmap_hw).resize(size, Image.Resampling.BICUBIC))


def _grouped(signed_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map of at most 100 cells along the longer side, each the mean of a group of pixels."""
    height, width = signed_hw.shape
    scale = _FINEST_CELLS / max(height, width)
    if scale >= 1:
        return signed_hw
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(signed_hw).resize(size, Image.Resampling.BOX))


def _strong(signed_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map in [-1, 1] whose strongest hundredth has the absolute value 1; unchanged if nearly all of it is 0."""
    full = np.quantile(np.abs(signed_hw), _FULL_COLOUR)
    return (signed_hw / full).clip(-1, 1).astype(np.float32) if full > 0 else signed_hw


def _colored(heatmap_hw: NDArray[np.floating[Any]], table: NDArray[np.uint8]) -> Image.Image:
    """A map in [0, 1] in the colours of a table of 256 RGB rows."""
    return Image.fromarray(table[np.rint(np.clip(heatmap_hw, 0, 1) * 255).astype(np.uint8)])


@cache
def _inferno() -> NDArray[np.uint8]:
    """The colour map Inferno: perceptually uniform, its lightness increases with the value."""
    return _table(np.array([hex_to_rgb(stop) for stop in sequential.Inferno], dtype=np.float64))


@cache
def _diverging() -> NDArray[np.uint8]:
    """Blue, near white in the middle, orange."""
    return _table(np.stack([_AGAINST_RGB, _NEUTRAL_RGB, _FOR_RGB]).astype(np.float64))


def _table(stops: NDArray[np.float64]) -> NDArray[np.uint8]:
    """256 RGB rows between stops at equal distances."""
    at = np.linspace(0, 1, len(stops))
    table = [np.interp(np.linspace(0, 1, 256), at, stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(table, axis=1)).astype(np.uint8)
