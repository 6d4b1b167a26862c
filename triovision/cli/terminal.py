"""Texts from outside on a terminal and in a pipe: names may hold control characters and bytes that are no UTF-8."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Final

from triovision.photo.names import clean_text

#: Exit status of shells for Ctrl-C.
CANCELLED: Final = 130
#: Argument that stands for standard input.
STANDARD_INPUT: Final = "-"
_LONGEST: Final = 8192


def one_line(text: object) -> str:
    """Return a text without control characters, so that it cannot direct the terminal; for people, not for programs."""
    return clean_text(str(text), _LONGEST)


def standard_input_names() -> Iterator[str]:
    """Yield the names on standard input, one a line, as they come; empty lines are left out."""
    for line in sys.stdin.buffer:
        if name := os.fsdecode(line.rstrip(b"\r\n")):
            yield name
