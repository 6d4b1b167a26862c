"""Search for photos in a folder, and parallel reading of their metadata and hashes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from triovision.errors import PhotoError
from triovision.photo import PhotoLimits, read_photo
from triovision.train.data.build.duplicates import perceptual_hash
from triovision.train.data.workers import map_in_processes

SUFFIXES: Final = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".mpo",
        ".png",
        ".webp",
        ".avif",
        ".heic",
        ".heif",
        ".hif",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
    }
)
"""Suffixes of files that are read as photos; the format is detected from the content."""

# A hash uses 32 x 32 pixels, and small images decode faster.
_LIMITS = PhotoLimits(min_long_side_px=256, min_short_side_px=192, max_long_side_px=512)
_CHUNK_SIZE = 32


class Problem(NamedTuple):
    """Problem of a file: one row of the report."""

    file: str
    kind: str
    reason: str
    duplicate_of: str = ""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """Metadata and hashes of a photo.

    Attributes:
        file: Path relative to the folder, with `/`.
        sha256: SHA-256 of the file.
        phash: Perceptual hash, 64 bits.
        width: Width in pixels, upright.
        height: Height in pixels, upright.
        taken_at: Time of EXIF in ISO 8601, or empty.
        position: `(lat_deg, lon_deg)` of EXIF, or None.
    """

    file: str
    sha256: str
    phash: int
    width: int
    height: int
    taken_at: str
    position: tuple[float, float] | None


def find_photos(folder: Path) -> tuple[list[str], list[Problem]]:
    """Search a folder recursively, without links and hidden files and folders.

    Args:
        folder: Folder to search.

    Returns:
        Sorted paths of files with the suffix of a photo, relative to `folder` with `/`; and skipped entries.
    """
    photos: list[str] = []
    skipped: list[Problem] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                sorted_entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as exc:
            skipped.append(Problem(_shown(prefix or "."), "unreadable folder", str(exc.strerror)))
            continue
        for entry in sorted_entries:
            path = prefix + entry.name
            problem = _skipped(entry)
            if problem is not None:
                skipped.append(Problem(_shown(path), *problem))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path + "/")
            else:
                photos.append(path)
    return sorted(photos), skipped


def _skipped(entry: os.DirEntry[str]) -> tuple[str, str] | None:
    """Kind and reason of a skipped entry; None for a folder or a photo."""
    problem = None
    if entry.name.startswith("."):
        problem = "hidden", "its name starts with a dot"
    elif entry.name != _shown(entry.name):
        problem = "unreadable", "its name is not UTF-8"
    elif entry.is_symlink():
        problem = "link", "symbolic links are not followed"
    elif not entry.is_dir(follow_symlinks=False):
        if not entry.is_file(follow_symlinks=False):
            problem = "not a photo", "it is a device, pipe or socket"
        elif Path(entry.name).suffix.lower() not in SUFFIXES:
            problem = "not a photo", "its name has no suffix of a photo"
    return problem


def _shown(path: str) -> str:
    """The path as valid text, with bytes that are not UTF-8 in hexadecimal."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_photo_files(folder: Path, files: Sequence[str], workers: int) -> Iterator[PhotoFile | Problem]:
    """Read photos in parallel processes; unreadable ones, even those that crash the decoder, are problems.

    Args:
        folder: Folder that `files` are relative to.
        files: Photos to read.
        workers: Number of processes; 0 reads in this one.

    Yields:
        One outcome per file, in any order.
    """
    for outcomes in map_in_processes(
        partial(_read, folder), files, workers=workers, chunk_size=_CHUNK_SIZE, on_crash=_crash
    ):
        yield from outcomes


def _crash(file: str) -> PhotoFile | Problem:
    return Problem(file, "unreadable", "its content crashes the decoder")


def _read(folder: Path, file: str) -> PhotoFile | Problem:
    try:
        with (folder / file).open("rb") as opened:
            # One byte more than the limit is enough to reject the file.
            data = opened.read(_LIMITS.max_bytes + 1)
        photo = read_photo(data, file, _LIMITS)
    except OSError as exc:
        return Problem(file, "unreadable", f"cannot be opened ({exc.strerror})")
    except PhotoError as exc:
        return Problem(file, "unreadable", exc.reason)
    return PhotoFile(
        file=file,
        sha256=hashlib.sha256(data).hexdigest(),
        phash=int(perceptual_hash(photo.image_hwc)),
        width=photo.original_width_px,
        height=photo.original_height_px,
        taken_at=photo.camera.taken_at.isoformat() if photo.camera.taken_at else "",
        position=photo.camera.position,
    )
