"""Texts from outside on a terminal: file names may hold control characters and bytes that are no UTF-8."""

from __future__ import annotations

from typing import Final

from triovision.photo.names import clean_text

#: Exit status of shells for Ctrl-C.
CANCELLED: Final = 130
_LONGEST: Final = 8192


def one_line(text: object) -> str:
    """Return a text without control characters, so that it cannot direct the terminal; for people, not for programs."""
    return clean_text(str(text), _LONGEST)
