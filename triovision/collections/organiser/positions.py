"""Positions written beside the originals of a collection (XMP sidecars), or into copies of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from triovision.collections.entries import CollectionEntry
from triovision.collections.file_names import relative_path
from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.originals import read_original
from triovision.collections.organiser.photos import PHOTOS, iter_entries, parts, photo_name
from triovision.collections.organiser.walk import text_path
from triovision.collections.positions_in_files import (
    WriteStyle,
    jpeg_with_position,
    plan_positions,
    sidecar_name,
    xmp_sidecar,
)
from triovision.errors import CollectionError
from triovision.files import atomic_path, atomic_write
from triovision.photo.names import clean_text

#: Folder of the copies with positions in the folder of the collection.
COPIES: Final = "positions"
_PART: Final = 1000
_OURS: Final = b'x:xmptk="TrioVision"'
_HEAD_BYTES: Final = 1000
#: Photos whose sidecars in Lightroom's manner would be one file, as of `a.jpg` and `a.png`.
_SHARED: Final = f"""
SELECT regexp_replace(path, '\\.[^./\\\\]*$', '') AS stem FROM ({PHOTOS}) WHERE member = ''
GROUP BY stem HAVING count(*) > 1
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Written:
    """The position of one photo.

    Attributes:
        photo: Path of the photo.
        target: File that holds the position, or will.
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.
        skipped: Reason why nothing is written.
        fault: Reason why it could not be written.
    """

    photo: str
    target: str
    lat_deg: float
    lon_deg: float
    skipped: str | None = None
    fault: str | None = None


def write_positions(
    database: CollectionDatabase, model_sha256: str, style: WriteStyle, min_probability: float, *, write: bool
) -> Iterator[Written]:
    """Write the positions that are certain enough, and yield what was done with each photo.

    Originals are never written. A sidecar of another program is never replaced, one of ours is. A copy keeps the times
    of its original.

    Args:
        database: The database.
        model_sha256: The model whose answers count.
        style: Sidecars beside the photos in the manner of a program, or copies of JPEGs in the folder `COPIES`.
        min_probability: Least probability of an answer, in [0, 1].
        write: Whether to write; otherwise this is a dry run.
    """
    shared = set[str]()
    if style == "lightroom":
        shared = {row["stem"] for row in database.rows(_SHARED, model=model_sha256)}
    folder = database.path.parent / COPIES
    for part in parts(iter_entries(database, model_sha256), _PART):
        plans = plan_positions([entry for _, entry in part], min_probability, style)
        for (row, entry), plan in zip(part, plans, strict=True):
            target = _target(row, entry, style, folder)
            skipped = plan.skipped or _obstacle(row, target, style, shared)
            fault = _write(row, entry, target, style) if write and skipped is None else None
            lat_deg, lon_deg = entry.position
            yield Written(photo_name(row), str(target), lat_deg, lon_deg, skipped, fault)


def shown(written: Written) -> dict[str, str | float | None]:
    """Return the values for a table."""
    return {
        "photo": clean_text(written.photo, 500),
        "target": clean_text(written.target, 500),
        "lat_deg": round(written.lat_deg, 6),
        "lon_deg": round(written.lon_deg, 6),
        "skipped": written.skipped,
        "fault": None if written.fault is None else clean_text(written.fault, 200),
    }


def _target(row: dict[str, Any], entry: CollectionEntry, style: WriteStyle, folder: Path) -> Path:
    if style == "copy":
        return folder / relative_path(entry.name)
    return Path(sidecar_name(str(text_path(row["path"])), style))


def _obstacle(row: dict[str, Any], target: Path, style: WriteStyle, shared: set[str]) -> str | None:
    """Why nothing can be written for a photo whose answer is certain enough."""
    if style == "copy":
        return None
    if row["member"]:
        return "it is in an archive, which stays as it is; write copies instead"
    if os.path.splitext(row["path"])[0] in shared:
        return f"another photo would have the file {target.name} too"
    if os.path.lexists(target) and not _is_ours(target):
        return "there is a sidecar already"
    return None


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _OURS in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _write(row: dict[str, Any], entry: CollectionEntry, target: Path, style: WriteStyle) -> str | None:
    """Write a sidecar or a copy, and return what is wrong."""
    try:
        if style != "copy":
            atomic_write(target, xmp_sidecar(entry))
            return None
        data = jpeg_with_position(read_original(row), entry)
        about = text_path(row["path"]).stat()
        with atomic_path(target) as part:
            part.write_bytes(data)
            os.utime(part, ns=(about.st_atime_ns, about.st_mtime_ns))
    except CollectionError as fault:
        return f"{fault.reason}. {fault.remedy}"
    except OSError as fault:
        return f"it cannot be written ({fault.strerror})"
    return None
