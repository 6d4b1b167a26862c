"""Atomic writes, complete and fsynced or not at all, and the user's cache folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def cache_folder() -> Path:
    """Return the folder `triovision` in the user's cache, for installed models and values computed once."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triovision"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, for a library that writes files by name.

    When the block ends, the temporary file is fsynced and replaces `path`; after an exception it is deleted. The
    parent folder is made when it is missing. Writers in other threads and processes have temporary names of their own.

    Raises:
        OSError: If the file cannot be written or replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Open a file for binary writing; see `atomic_path`."""
    with atomic_path(path) as part, part.open("wb") as file:
        yield file


def atomic_write(path: Path, content: bytes | memoryview | str) -> None:
    """Write bytes, or text as UTF-8; see `atomic_path`."""
    with atomic_open(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
