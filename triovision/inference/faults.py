"""Faults of a model that loads or runs: any exception becomes a worded error, and outputs must be finite."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from triovision.errors import Message, ModelFailure, TrioVisionError

_logger = logging.getLogger(__name__)
_ANOTHER: Final = Message("Choose another model, or free memory and try again")
#: Passes that must fit before a halved batch is doubled again.
_PASSES: Final = 8


@contextmanager
def worded_faults(model_id: str) -> Iterator[None]:
    """Turn every exception in the block into a `ModelFailure`; errors that are worded already pass.

    Args:
        model_id: Model that loads or runs in the block.

    Raises:
        ModelFailure: If anything but a `TrioVisionError` is raised, such as a lost GPU or a lack of memory.
    """
    try:
        yield
    except TrioVisionError:
        raise
    except Exception as exc:
        _logger.warning("%s failed", model_id, exc_info=exc)
        if is_out_of_memory(exc):
            reason = Message("needs more memory than this machine has free")
        else:
            text = str(exc).strip()
            why = text.splitlines()[0][:200] if text else type(exc).__name__
            reason = Message("failed ({why})", why=why)
        raise ModelFailure(model_id, reason, _ANOTHER) from exc


def check_finite(model_id: str, *arrays: NDArray[Any]) -> None:
    """Refuse outputs of a model that hold NaN or infinity.

    Raises:
        ModelFailure: If a value is not finite.
    """
    if not all(np.isfinite(array).all() for array in arrays):
        raise ModelFailure(model_id, Message("gave numbers that are not finite"), _ANOTHER)


def is_out_of_memory(exc: Exception) -> bool:
    """Recognise CUDA, MPS and Python by the type of the error, the CPU's allocator by its message."""
    return isinstance(exc, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(exc)


class BatchSize:
    """Number of photos in one forward pass: halved when memory runs out, doubled again after eight passes that fit.

    Args:
        largest: Number of photos to begin with, and never to exceed.
    """

    def __init__(self, largest: int) -> None:
        self._largest = self._size = largest
        self._fitted = 0

    def run(self, items: Sequence[int], work: Callable[[Sequence[int]], None]) -> None:
        """Call `work` with batches of the items, in order, until all are done.

        Raises:
            Exception: What `work` raises, but a lack of memory only if a single item does not fit.
        """
        done = 0
        while done < len(items):
            batch = items[done : done + self._size]
            try:
                work(batch)
            except (RuntimeError, MemoryError) as exc:
                if not is_out_of_memory(exc) or len(batch) == 1:
                    raise
                self._size, self._fitted = len(batch) // 2, 0
            else:
                done += len(batch)
                self._grow()

    def _grow(self) -> None:
        self._fitted += 1
        if self._size < self._largest and self._fitted >= _PASSES:
            self._size, self._fitted = min(self._largest, 2 * self._size), 0
