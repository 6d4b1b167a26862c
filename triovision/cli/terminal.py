"""Texts from outside on a terminal and in JSON: file names may hold control characters and bytes that are no UTF-8."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Final

from triovision.photo.names import clean_text

_LONGEST: Final = 8192
#: Control, format (bidi overrides), surrogate, private and unassigned characters, and those that break lines.
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def one_line(text: object) -> str:
    """Return a text without control characters, so that it cannot direct the terminal; for people, not for programs."""
    return clean_text(str(text), _LONGEST)


def json_line(value: dict[str, Any]) -> str:
    """Serialise a value as one line of JSON from which a program gets every character back.

    Letters stay readable. Control characters, and the bytes of a file name that are no UTF-8 (lone surrogates in
    Python), are escaped; `os.fsencode` turns such a name into its bytes again.
    """
    return "".join(
        json.dumps(char)[1:-1] if unicodedata.category(char) in _ESCAPED else char
        for char in json.dumps(value, ensure_ascii=False)
    )
