"""Files that are written whole or not at all, and the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder `triovision` in the user's cache, for installed models and values computed once."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triovision"


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file beside the old one and then put it in its place."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
