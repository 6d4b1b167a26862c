"""Camera facts read from untrusted EXIF: time, camera, software, position, orientation."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from triovision.photo.names import clean_text
from triovision.results import CameraFacts

_MAX_TEXT = 80


def camera_facts(exif: Image.Exif) -> CameraFacts:
    """Time, camera, software and position, each left out where the file gives none that makes sense.

    Args:
        exif: EXIF as Pillow parsed it; any value may be missing, damaged or of the wrong type.

    Returns:
        The facts that could be read.
    """
    detail = exif.get_ifd(IFD.Exif)
    position = _position(exif.get_ifd(IFD.GPSInfo))
    return CameraFacts(
        taken_at=_time(_text(detail, Base.DateTimeOriginal), _text(detail, Base.OffsetTimeOriginal)),
        camera=_camera(_text(exif, Base.Make), _text(exif, Base.Model)),
        software=_text(exif, Base.Software) or None,
        lat_deg=position[0] if position else None,
        lon_deg=position[1] if position else None,
    )


def orientation(exif: Image.Exif) -> int:
    """EXIF orientation 1 to 8; 1 (upright) where there is none that makes sense."""
    value = exif.get(Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _text(tags: Any, tag: int) -> str:  # noqa: ANN401 - a dict or Pillow's Exif, which only share `get`
    value = tags.get(tag)
    return clean_text(value, _MAX_TEXT) if isinstance(value, str) else ""


def _time(moment: str, offset: str) -> datetime | None:
    """Parse `2024:05:06 07:08:09` with an offset such as `+02:00`, or without one when it makes no sense."""
    for text, pattern in ((moment + offset, "%Y:%m:%d %H:%M:%S%z"), (moment, "%Y:%m:%d %H:%M:%S")):
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            continue
    return None


def _camera(make: str, model: str) -> str | None:
    """Join maker and model, the maker only once: `NIKON CORPORATION`, `NIKON D90` is a `NIKON D90`."""
    if make and model and make.split(maxsplit=1)[0].casefold() == model.split(maxsplit=1)[0].casefold():
        return model
    return f"{make} {model}".strip() or None


def _position(gps: dict[int, Any]) -> tuple[float, float] | None:
    """`(lat_deg, lon_deg)`, or None without a hemisphere, off the Earth, or at 0, 0 where cameras without a fix are."""
    lat_deg = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "N", "S", 90)
    lon_deg = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "E", "W", 180)
    if lat_deg is None or lon_deg is None or (lat_deg == 0 and lon_deg == 0):
        return None
    return lat_deg, lon_deg


def _degrees(value: Any, hemisphere: Any, positive: str, negative: str, limit: int) -> float | None:  # noqa: ANN401
    """Degrees, minutes and seconds (the last two may be missing) as signed degrees."""
    letter = clean_text(hemisphere, 1).upper() if isinstance(hemisphere, str) else ""
    if letter not in (positive, negative):
        return None
    parts = value if isinstance(value, tuple) else (value,)
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not 1 <= len(numbers) <= 3 or not all(math.isfinite(number) and number >= 0 for number in numbers):
        return None
    if any(number > 60 for number in numbers[1:]):
        return None
    degrees = sum(number / unit for number, unit in zip(numbers, (1, 60, 3600), strict=False))
    if degrees > limit:
        return None
    return degrees if letter == positive else -degrees
