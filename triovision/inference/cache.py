"""Where on this machine goes what need not be done twice."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`triovision` in the user's cache: installed models, and what was worked out for them once."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "triovision"
