"""Find the photos below a folder and read what a manifest needs of each, in several processes."""

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
"""Endings of files that are taken for photos; what they really are is told by their content."""

# A hash looks at 32 x 32 pixels: small pictures decode faster.
_LIMITS = PhotoLimits(min_long_side_px=256, min_short_side_px=192, max_long_side_px=512)
_CHUNK = 32


class Problem(NamedTuple):
    """What is to be said of a file: one row of the report."""

    file: str
    kind: str
    reason: str
    twin: str = ""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """What was read from one photo.

    Attributes:
        file: Path below the folder, parts joined by `/`.
        sha256: Hash of the file's bytes.
        phash: Perceptual hash, 64 bits.
        width: Width in pixels, upright.
        height: Height in pixels, upright.
        taken_at: Time of the shot in ISO 8601; empty where the camera wrote none.
        position: `(lat_deg, lon_deg)` that the camera wrote, or None.
    """

    file: str
    sha256: str
    phash: int
    width: int
    height: int
    taken_at: str
    position: tuple[float, float] | None


def find_photos(folder: Path) -> tuple[list[str], list[Problem]]:
    """Walk a folder. Links are not followed, hidden files and folders not entered.

    Args:
        folder: Where to look, all levels down.

    Returns:
        Files that look like photos, as sorted paths below `folder` joined by `/`; and everything that was passed over.
    """
    photos: list[str] = []
    passed_over: list[Problem] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as exc:
            passed_over.append(Problem(_shown(prefix or "."), "unreadable folder", str(exc.strerror)))
            continue
        for entry in found:
            path = prefix + entry.name
            problem = _passed_over(entry)
            if problem is not None:
                passed_over.append(Problem(_shown(path), *problem))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path + "/")
            else:
                photos.append(path)
    return sorted(photos), passed_over


def _passed_over(entry: os.DirEntry[str]) -> tuple[str, str] | None:
    """Kind and reason, or None for a folder to enter or a photo to read."""
    problem = None
    if entry.name.startswith("."):
        problem = "hidden", "its name starts with a dot"
    elif entry.name != _shown(entry.name):
        problem = "unreadable", "its name is no UTF-8 text"
    elif entry.is_symlink():
        problem = "link", "symbolic links are not followed"
    elif not entry.is_dir(follow_symlinks=False):
        if not entry.is_file(follow_symlinks=False):
            problem = "not a photo", "it is a device, pipe or socket"
        elif Path(entry.name).suffix.lower() not in SUFFIXES:
            problem = "not a photo", "its name has no ending of a photo"
    return problem


def _shown(path: str) -> str:
    """The path as text that can be written; bytes that are no UTF-8 are shown in hexadecimal."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_photo_files(folder: Path, files: Sequence[str], workers: int) -> Iterator[PhotoFile | Problem]:
    """Read photos in parallel processes; what cannot be read becomes a problem and the others go on.

    A file that kills the process that reads it (a fault in a decoder) is found and reported as well.

    Args:
        folder: What `files` are relative to.
        files: Photos to read.
        workers: Processes; 0 reads in this one.

    Yields:
        One outcome a file, in any order.
    """
    for outcomes in map_in_processes(
        partial(_read, folder), files, workers=workers, chunk_size=_CHUNK, on_crash=_crashed
    ):
        yield from outcomes


def _crashed(file: str) -> PhotoFile | Problem:
    return Problem(file, "unreadable", "its content makes the decoder crash")


def _read(folder: Path, file: str) -> PhotoFile | Problem:
    try:
        with (folder / file).open("rb") as opened:
            # One byte more than is allowed is enough for the refusal, whatever the file's real size.
            data = opened.read(_LIMITS.max_bytes + 1)
        photo = read_photo(data, file, _LIMITS)
    except OSError as exc:
        return Problem(file, "unreadable", f"it cannot be opened ({exc.strerror})")
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
