"""Drawings of flags from the npm package `flag-icons`."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import Final

from triovision.bundle import NODE_MODULES
from triovision.geo import is_country

#: Drawings four units wide and three high, named by the country's code in lower case.
FLAGS: Final = NODE_MODULES / "flag-icons" / "flags" / "4x3"


def flag_file(country: str) -> Path | None:
    """File with the drawing of a flag.

    Args:
        country: ISO 3166-1 alpha-2 code. It may come from outside: only a known code becomes part of a path.

    Returns:
        An SVG file, or None if the code is no country or the package is not installed (`make assets`).
    """
    path = FLAGS / f"{country.lower()}.svg"
    return path if is_country(country) and path.is_file() else None


@lru_cache(maxsize=64)  # some drawings have 100 kB
def flag_data_uri(country: str) -> str | None:
    """Drawing of a flag as a `data:` address, for files that must stay whole without the package.

    Args:
        country: ISO 3166-1 alpha-2 code.

    Returns:
        The address, or None if there is no drawing.
    """
    path = flag_file(country)
    if path is None:
        return None
    # A figure gives an image more room than it fills; Chromium then follows the drawing's own alignment.
    svg = path.read_bytes().replace(b"<svg ", b'<svg preserveAspectRatio="xMaxYMid" ', 1)
    return f"data:image/svg+xml;base64,{b64encode(svg).decode('ascii')}"
