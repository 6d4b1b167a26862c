"""Suppression of Pillow's warnings about hostile files, for one thread only."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast


class _InsideDecoder(threading.local):
    """Stands where a filter keeps its pattern for module names: matches all of them while its thread decodes."""

    active = False
    pattern = "(?!)"  # matches nothing: for a library that copies all filters by their patterns (scikit-learn does)

    def match(self, _module: str) -> bool:
        return self.active


_INSIDE_DECODER = _InsideDecoder()
_IGNORE = ("ignore", None, Warning, _INSIDE_DECODER, 0)


@contextmanager
def decoder_warnings_silenced() -> Iterator[None]:
    """Ignore every warning that this thread raises inside the block.

    `warnings.catch_warnings` swaps a list that all threads share: two blocks that overlap in two threads can leave one
    thread's filters behind for good. The filter here is put in once, is never taken out, and matches nothing in a
    thread that is outside the block, so overlapping blocks cannot harm each other or anybody else.
    """
    filters = cast("list[Any]", warnings.filters)
    if not filters or filters[0] is not _IGNORE:
        # At the front, or a filter such as `-W error` would decide first; put in anew wherever the list was swapped.
        filters.insert(0, _IGNORE)
    was_active, _INSIDE_DECODER.active = _INSIDE_DECODER.active, True
    try:
        yield
    finally:
        _INSIDE_DECODER.active = was_active
