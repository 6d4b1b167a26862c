"""Names of files in archives that are written: safe on every file system, and each of them once."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from triovision.photo.names import clean_text

_MAX_NAME: Final = 150
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # devices of Windows


def safe_file_name(name: str) -> str:
    r"""Last part of an untrusted path, without what a file system forbids.

    Args:
        name: Path with `/` or `\`.

    Returns:
        A name without folders, with its extension; `photo` if nothing is left.
    """
    last = clean_text(re.split(r"[/\\]", name)[-1], _MAX_NAME)
    bare = re.sub(r'[<>:"|?*]', "_", last).strip(". ")
    return f"_{bare}" if _RESERVED.match(bare) else bare or "photo"


def relative_path(name: str) -> str:
    r"""Path of an untrusted name that stays inside the folder it is unpacked into; its parts are kept as they are.

    Args:
        name: Path with `/` or `\`.
    """
    writable = name.encode("utf-8", "replace").decode().replace("\x00", "")  # what a ZIP archive can hold
    parts = [part for part in re.split(r"[/\\]", writable) if part not in ("", ".", "..")]
    if parts and re.fullmatch(r"[A-Za-z]:", parts[0]):
        parts = parts[1:]
    return "/".join(parts) or "photo"


class UniqueNames:
    """Names that are given out once, where case does not distinguish names."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """Return the path, with a number before its extension if it is taken."""
        path, number, free = PurePosixPath(name), 1, name
        while free.casefold() in self._taken:
            number += 1
            free = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        self._taken.add(free.casefold())
        return free
