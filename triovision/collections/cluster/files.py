"""Photos in folders and object storage by their addresses: found by the driver, read by the workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import fsspec

from triovision.collections.organiser.walk import PHOTO_SUFFIXES, FoundFile, text_path, walk
from triovision.errors import CollectionError, PhotoError
from triovision.photo import PhotoLimits

_LIMITS: Final = PhotoLimits()
_PROTOCOL: Final = "://"
#: Fields in which file systems of fsspec keep what changes with the content, the best one first.
_VERSIONS: Final = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")


def found_files(sources: Iterable[str], without: str) -> Iterator[tuple[FoundFile, str]]:
    """Find photos below sources.

    Args:
        sources: Folders and files on disks that all workers reach, or addresses such as `s3://bucket/folder`.
        without: Folder of the results, which is left out.

    Yields:
        Each file, its path as a text, and its version: a text that changes with the content.

    Raises:
        CollectionError: If a source does not exist, or its kind of storage cannot be used here.
    """
    for source in sources:
        if _PROTOCOL in source:
            yield from _in_storage(source)
            continue
        if not Path(source).exists():
            raise CollectionError(source, "does not exist", "Check the path, or mount the disk on every machine")
        for file in walk([Path(source)], Path(without)):
            yield file, str(file.mtime_ns)


def storage(address: str) -> tuple[Any, str]:
    """Return the file system of an address, of fsspec, and the path in it.

    Raises:
        CollectionError: If its kind of storage cannot be used here.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as exc:
        remedy = "Install the package of fsspec for this storage on every machine, such as s3fs or gcsfs"
        raise CollectionError(address, f"is in a storage that cannot be used ({exc})", remedy) from exc
    return filesystem, path


def read_file(path: str) -> bytes:
    """Read a photo by the path that `found_files` gave.

    Raises:
        PhotoError: If it cannot be read or is too large.
    """
    name = path.rpartition("/")[2]
    try:
        if _PROTOCOL in path:
            filesystem, inside = storage(path)
            with filesystem.open(inside, "rb") as file:
                data: bytes = file.read(_LIMITS.max_bytes + 1)
        else:
            with text_path(path).open("rb") as file:
                data = file.read(_LIMITS.max_bytes + 1)
    except Exception as exc:
        raise PhotoError(name, f"it cannot be read ({_why(exc)})", "Check the path and its permissions") from exc
    if len(data) > _LIMITS.max_bytes:
        most = _LIMITS.max_bytes // 1_000_000
        raise PhotoError(name, f"it has more than the {most} MB allowed", "Use a smaller copy of the photo")
    return data


def _in_storage(source: str) -> Iterator[tuple[FoundFile, str]]:
    filesystem, path = storage(source)
    try:
        found = filesystem.find(path, detail=True)
    except Exception as exc:  # as in `read_file`
        raise CollectionError(source, f"cannot be listed ({_why(exc)})", "Check the address and the rights") from exc
    if not found:
        raise CollectionError(source, "holds no files", "Check the address and the rights")
    for name, about in found.items():
        address, suffix = filesystem.unstrip_protocol(name), os.path.splitext(name)[1][1:].lower()
        kind: Any = "photo" if suffix in PHOTO_SUFFIXES else "archive" if suffix == "zip" else "other"
        version = next((str(about[key]) for key in _VERSIONS if about.get(key)), str(about.get("size")))
        yield FoundFile(address, kind, int(about.get("size") or 0)), version


def _why(exc: Exception) -> str:
    return exc.strerror or str(exc) if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
