"""Conversion of any Pillow mode to 8-bit sRGB without transparency."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from triovision.errors import Message
from triovision.photo.cost import is_cheap_profile

_WHITE = (255, 255, 255)
_ROWS = 256
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_LEVELS = np.arange(0, 256, 51, dtype=np.uint8)
_PROBE = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS), axis=-1).reshape(6, 36, 3)


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale deep pixels to 8 bits, look up palettes and put transparency on white.

    Args:
        image: Loaded image of any mode.

    Returns:
        The image in mode L, RGB or CMYK, still in its own colour space.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_scaled(np.asarray(image)))
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Put transparency on white, some rows at a time: a copy of the whole with an alpha channel takes much memory."""
    flat = Image.new("RGB", image.size, _WHITE)
    for top in range(0, image.height, _ROWS):
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height))).convert("RGBA")
        flat.paste(rows, (0, top), rows)
    return flat


def _scaled(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Map numbers of unknown range to 0..255: 16 bits by their top byte, floats from [0, 1], all else by its extent."""
    if values.dtype.itemsize == 2:
        top_bytes = np.empty(values.shape, np.uint8)
        np.right_shift(values, 8, out=top_bytes, casting="unsafe")  # writes bytes at once: no 16-bit copy between
        return top_bytes
    numbers = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    usual = 1.0 if values.dtype.kind == "f" else 65535.0
    if low >= 0 and high <= usual:
        low, high = 0.0, usual
    scale = 255 / ((high - low) or 1.0)
    numbers *= scale  # before the shift: the extent of float32 overflows float32
    numbers -= low * scale
    np.rint(numbers, out=numbers)
    return numbers.astype(np.uint8)


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert to RGB in sRGB, through the file's ICC profile where it has one.

    Args:
        image: Image in mode L, RGB or CMYK.
        profile: ICC profile of the file, untrusted.

    Returns:
        The image in mode RGB, and warnings for the screen.
    """
    if not profile:
        return _plain_rgb(image), ()
    # LittleCMS and Pillow promise no set of errors for a hostile profile.
    with contextlib.suppress(Exception):
        if is_cheap_profile(profile):
            return _through_profile(image, profile), ()
    return _plain_rgb(image), (Message("The colour profile cannot be used and was ignored: colours may be off."),)


def _plain_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = _MODES[source.profile.xcolor_space.strip()]
    if mode != image.mode:
        if mode != "RGB" or image.mode == "CMYK":
            raise ValueError(f"the profile is for {mode}, the image is {image.mode}")
        image = image.convert(mode)
    transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    if mode == "RGB" and _changes_little(transform):
        return image
    return transform.apply(image)


def _changes_little(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether the profile is sRGB under any of its names: most photos, and the transform costs as much as decoding."""
    probed = np.asarray(transform.apply(Image.fromarray(_PROBE)))
    return bool(np.abs(probed.astype(int) - _PROBE).max() <= 2)
