"""Untrusted texts and file names, made safe for one line, for every file system and for spreadsheets."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath
from typing import Final

#: Blanks that become one space. No-break spaces stay: French writes them before its marks and in its numbers.
_BLANKS: Final = re.compile(r"[^\S\u00a0\u202f]+")
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - Excel takes the wide signs too


def clean_text(text: str, max_length: int) -> str:
    """Bound a text and take out what could break or disguise a line: control, bidi and unassigned characters.

    Args:
        text: Any text from outside.
        max_length: Most characters to keep; the middle of a longer text becomes one ellipsis.

    Returns:
        One line without leading or trailing blanks.
    """
    shown = text if len(text) <= 4 * max_length else text[: 2 * max_length] + text[-2 * max_length :]
    # Categories C* are control, format (bidi overrides), surrogate, private and unassigned; Zl and Zp break lines.
    kept = (" " if unicodedata.category(char) in ("Zl", "Zp") else char for char in shown)
    text = "".join(char for char in kept if not unicodedata.category(char).startswith("C"))
    line = _BLANKS.sub(" ", text).strip()
    if len(line) <= max_length:
        return line
    tail = (max_length - 1) // 3
    return line[: max_length - 1 - tail] + "…" + line[len(line) - tail :]


def shown_name(name: str) -> str:
    """Name of an untrusted file as an error shows it."""
    return clean_text(name, 80) or "The unnamed file"


def file_stem(name: str) -> str:
    """Turn an untrusted file name into a stem that is safe on every file system.

    Args:
        name: File name, with or without folders and extension.

    Returns:
        At most 60 letters, digits, `_` and `-`; `photo` if none is left.
    """
    return re.sub(r"[^\w]+", "-", PurePath(name).stem).strip("-")[:60] or "photo"


def spreadsheet_safe(cell: object) -> object:
    """Guard a cell of a table that people open in a spreadsheet, which runs some texts as formulas.

    Not for tables that the project reads again, such as manifests: a name in them stays as it is.

    Args:
        cell: Any value; only a text can be a formula.

    Returns:
        The cell; a text that begins like a formula has an apostrophe in front.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA_SIGNS) else cell
