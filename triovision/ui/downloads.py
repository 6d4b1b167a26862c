"""Names of the files that a reader may save."""

from __future__ import annotations

import re
from pathlib import PurePath


def file_stem(name: str) -> str:
    """A name from outside, without its extension, made of letters, digits, `_` and `-`: safe on every file system."""
    return re.sub(r"[^\w]+", "-", PurePath(name).stem).strip("-")[:60] or "photo"
