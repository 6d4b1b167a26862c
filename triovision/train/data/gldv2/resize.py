"""Resized JPEG files of downloaded photos."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from triovision.files import atomic_write
from triovision.photo import PhotoLimits, read_photo


@dataclass(frozen=True, slots=True)
class SmallJpeg:
    """Format of stored photos.

    Attributes:
        short_side_px: Shorter side; smaller photos keep their size.
        quality: JPEG quality, 1 to 95.
    """

    short_side_px: int = 256
    quality: int = 85

    def save(self, data: bytes, path: Path) -> None:
        """Decode an untrusted photo, resize it and write it upright, in sRGB and without EXIF.

        Args:
            data: Content of the photo.
            path: JPEG file, written atomically.

        Raises:
            PhotoError: If `data` is not a valid photo.
            OSError: If `path` cannot be written.
        """
        limits = PhotoLimits(min_long_side_px=self.short_side_px, min_short_side_px=self.short_side_px)
        image = Image.fromarray(read_photo(data, path.name, limits).image_hwc)
        scale = self.short_side_px / min(image.size)
        if scale < 1:
            width, height = (max(self.short_side_px, round(side * scale)) for side in image.size)
            image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=self.quality)
        atomic_write(path, buffer.getvalue())
