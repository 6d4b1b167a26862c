"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file beside the old one and then put it in its place."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
