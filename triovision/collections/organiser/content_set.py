"""Set of content hashes in 16 bytes each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MERGE_AT: Final = 20_000
_PAIR: Final = np.dtype([("high", ">u8"), ("low", ">u8")])


class ContentSet:
    """SHA-256 hashes of known contents, by their first 128 bits: a million take 16 MB.

    Args:
        contents: Hashes in hexadecimal.
    """

    def __init__(self, contents: Iterable[str] = ()) -> None:
        self._sorted: NDArray[np.void] = np.empty(0, _PAIR)
        self._recent: set[bytes] = set()
        for content in contents:
            self.add(content)

    def add(self, content: str) -> None:
        """Add a hash; adding one twice does no harm."""
        self._recent.add(_key(content))
        if len(self._recent) >= _MERGE_AT:
            recent = np.frombuffer(b"".join(self._recent), _PAIR)
            joined = np.concatenate([self._sorted, recent])
            self._sorted = joined[np.argsort(joined["high"], kind="stable")]
            self._recent = set()

    def __contains__(self, content: str) -> bool:
        """Whether the hash was added."""
        key = _key(content)
        if key in self._recent:
            return True
        high, low = (int.from_bytes(part, "big") for part in (key[:8], key[8:]))
        column = self._sorted["high"]
        first = int(np.searchsorted(column, np.uint64(high)))
        while first < len(column) and int(column[first]) == high:
            if int(self._sorted["low"][first]) == low:
                return True
            first += 1
        return False


def _key(content: str) -> bytes:
    return bytes.fromhex(content[:32])
