"""Small copies of the photos that a report names."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from PIL import Image

from triovision.errors import PhotoError
from triovision.metrics.country import RunMetrics
from triovision.photo import read_photo

log = logging.getLogger(__name__)

_LONGER_SIDE_PX = 160


def thumbnails(metrics: RunMetrics, root: Path) -> dict[str, bytes]:
    """JPEG copies, at most 160 pixels a side and without EXIF, of every photo that the metrics name.

    A photo that cannot be read any more is logged and left out.

    Args:
        metrics: Whose best and worst photos and examples of confusion to copy.
        root: Folder that the file names start from.

    Returns:
        The copies by the name of their file.
    """
    names: dict[str, None] = {}
    for split in metrics.splits.values():
        names |= dict.fromkeys(photo.file for photo in (*split.best, *split.worst))
        names |= dict.fromkeys(file for cell in split.most_confused for file in cell.examples)
    found = {}
    for name in names:
        try:
            found[name] = _thumbnail(root / name)
        except (OSError, PhotoError) as exc:
            log.warning("No picture of %s: %s", name, exc)
    return found


def _thumbnail(path: Path) -> bytes:
    picture = Image.fromarray(read_photo(path.read_bytes(), path.name).image_hwc)
    picture.thumbnail((_LONGER_SIDE_PX, _LONGER_SIDE_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()
