"""Photos and archives below folders, one by one, and paths as texts of a database."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Kind = Literal["photo", "archive", "other", "fault"]

#: Endings of files that may be photos. A file of another ending is no failure when a folder is searched.
PHOTO_SUFFIXES: Final = frozenset(
    ("jpg", "jpeg", "jpe", "jfif", "png", "webp", "avif", "heic", "heif", "hif", "tif", "tiff", "gif", "bmp", "mpo")
)
_SURROGATE, _PRIVATE = 0xDC80, 0x10DC80
#: Bytes of a name that are no UTF-8, which Python keeps as lone surrogates, in a plane that no name uses.
_TO_TEXT: Final = {_SURROGATE + byte: _PRIVATE + byte for byte in range(0x80)}
_TO_NAME: Final = {private: surrogate for surrogate, private in _TO_TEXT.items()}


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a folder.

    Attributes:
        path: Absolute path, see `path_text`.
        kind: A photo or archive by its name, another file, or a file or folder that cannot be looked at.
        size: Bytes.
        mtime_ns: Time of the last change, in nanoseconds since 1970.
        fault: Reason why it cannot be looked at.
    """

    path: str
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    fault: str | None = None


def path_text(path: str | os.PathLike[str]) -> str:
    """Return an absolute path as a text that any database takes, whatever bytes it has."""
    return os.path.abspath(path).translate(_TO_TEXT)


def text_path(text: str) -> Path:
    """Return the path of a text by `path_text`."""
    return Path(text.translate(_TO_NAME))


def walk(sources: Iterable[Path], without: Path) -> Iterator[FoundFile]:
    """Find photos and archives.

    Hidden files and folders are left out. Links to files are followed, links to folders are not, because they may form
    a circle; a source may be such a link.

    Args:
        sources: Files and folders. A file that is named here is a photo or an archive whatever its ending is.
        without: Folder that is left out, because it holds the results.
    """
    kept_out = os.path.abspath(without)
    for source in sources:
        if source.is_dir():
            yield from _walk_folder(os.path.abspath(source), kept_out)
        else:
            yield _found(os.path.abspath(source), named=True)


def _walk_folder(folder: str, without: str) -> Iterator[FoundFile]:
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        if current == without:
            continue
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not entry.is_dir():
                        yield _found(entry.path)
        except OSError as exc:
            yield FoundFile(path_text(current), "fault", fault=f"the folder cannot be read ({exc.strerror})")


def _found(path: str, *, named: bool = False) -> FoundFile:
    suffix = os.path.splitext(path)[1][1:].lower()
    kind: Kind = "archive" if suffix == "zip" else "photo" if named or suffix in PHOTO_SUFFIXES else "other"
    if kind == "other":
        return FoundFile(path_text(path), kind)
    try:
        about = os.stat(path)
    except OSError as exc:
        return FoundFile(path_text(path), "fault", fault=f"it cannot be opened ({exc.strerror})")
    if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for
        return FoundFile(path_text(path), "fault", fault="it is no file")
    return FoundFile(path_text(path), kind, about.st_size, about.st_mtime_ns)
