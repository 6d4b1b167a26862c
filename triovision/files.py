"""Atomic writes, complete and on the disk or not at all, and the user's cache folder."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: A temporary file: the final name, then host, process and thread of its writer.
_PART = re.compile(r"\..+\.(?P<host>[^/]+)-(?P<process>\d+)-\d+\.part", re.DOTALL)
_swept: set[Path] = set()


def cache_folder() -> Path:
    """Return the folder `triovision` in the user's cache, for installed models and values computed once."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triovision"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, for a library that writes files by name.

    When the block ends, the temporary file replaces `path` as in `durable_replace`; after an exception, such as a full
    disk, it is deleted. The parent folder is made when it is missing. Writers in other threads and processes have
    temporary names of their own; those that a killed process of this machine left in the folder are deleted.

    Raises:
        OSError: If the file cannot be written or replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    part = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield part
        durable_replace(part, path)
    except OSError as exc:
        exc.filename = exc.filename or str(path)  # writing and flushing know no name
        raise
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


def durable_replace(source: Path, target: Path) -> None:
    """Give a file, or a folder with all it holds, another name that survives a power failure.

    The content is on the disk before the name changes, and the name before this function returns.

    Args:
        source: File or folder.
        target: New path on the same file system. A file there is replaced, a folder must be empty.

    Raises:
        OSError: If the content cannot be written, or the name cannot be changed.
    """
    for path in (*source.rglob("*"), source):
        _sync(path)
    source.replace(target)
    for folder in {source.parent, target.parent}:
        _sync(folder)


def _sweep(folder: Path) -> None:
    """Delete the temporary files of processes that were killed, once for each folder and process."""
    if os.name != "posix" or folder in _swept:  # other systems cannot ask whether a process runs
        return
    _swept.add(folder)
    for part in folder.glob(".*.part"):
        writer = _PART.fullmatch(part.name)
        if writer and writer["host"] == socket.gethostname() and not _runs(int(writer["process"])):
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def _sync(path: Path) -> None:
    """Flush a file or a folder to the disk; some systems cannot open folders."""
    if path.is_dir():
        with suppress(OSError):
            _sync_descriptor(os.open(path, os.O_RDONLY))
    else:
        _sync_descriptor(os.open(path, os.O_RDWR))


def _sync_descriptor(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
