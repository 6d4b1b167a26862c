"""Limits on the cost of a photo and on the size of the decoded image."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoLimits:
    """Bounds on one photo. Every field is a positive whole number.

    The sizes handed on follow from their readers: networks look at squares of at most 448 px, and a screen shows the
    photo about 1000 px long, a quarter of what phones take. More pixels cost time and memory and are never seen.

    Attributes:
        max_bytes: Largest file, in bytes; the default is 30 MB of 10**6 bytes.
        max_pixels: Largest image, width times height. Whatever is given here, Pillow's own guard refuses above twice
            `PIL.Image.MAX_IMAGE_PIXELS` (179 megapixels).
        max_decoder_bytes: Memory that decoding may take, beyond the file. It bounds the pixels of formats whose
            decoders hold several copies: by default 41 megapixels for WebP and 54 for AVIF.
        max_frames: Most frames of an animation, whose first frame is the photo.
        min_long_side_px: The longer side handed on is at least this, where the original has it.
        min_short_side_px: The shorter side handed on is at least this, where the original has it and is no extreme
            panorama.
        max_long_side_px: The longer side handed on is at most this, unless a panorama's shorter side would fall below
            `min_short_side_px`. No decoded image has more than the square of this many pixels.
    """

    max_bytes: int = 30_000_000
    max_pixels: int = 100_000_000
    max_decoder_bytes: int = 700_000_000
    max_frames: int = 1000
    min_long_side_px: int = 1000
    min_short_side_px: int = 448
    max_long_side_px: int = 2048

    def __post_init__(self) -> None:
        """Check the bounds."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{field.name}` must be a whole number of at least 1, got {value!r}")
        if self.max_long_side_px < max(self.min_long_side_px, self.min_short_side_px):
            raise ValueError("`max_long_side_px` must not be smaller than the sides to keep")

    def dct_scale(self, width: int, height: int) -> int:
        """Largest of 8, 4, 2 and 1 by which a JPEG may be divided while decoding and still serve."""
        long_side, short_side = max(width, height), min(width, height)
        for scale in (8, 4, 2):
            if long_side // scale >= self.min_long_side_px and short_side // scale >= self.min_short_side_px:
                return scale
        return 1

    def bounded_size(self, width: int, height: int) -> tuple[int, int]:
        """`(width, height)` to hand on, of the same shape and never larger than given."""
        long_side, short_side = max(width, height), min(width, height)
        most_pixels = self.max_long_side_px**2
        shrink = max(self.max_long_side_px / long_side, self.min_short_side_px / short_side)
        shrink = min(1.0, shrink, math.sqrt(most_pixels / (width * height)))
        short_side = max(1, round(short_side * shrink))
        long_side = min(round(long_side * shrink), most_pixels // short_side)
        return (long_side, short_side) if width >= height else (short_side, long_side)
