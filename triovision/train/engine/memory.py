"""Keeping freed memory in the process, so that each step need not ask the system for it again."""

from __future__ import annotations

import ctypes
import platform

# Parameters of mallopt(3), in glibc's <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_TOP_PAD_BYTES = 1 << 28


def keep_freed_memory() -> None:
    """Tell glibc to return no memory to the system; does nothing where the C library is another one.

    By default glibc maps every large block anew and the system clears its pages each time, and the tensors of a
    training step on a CPU are large: `benchmarks/freed_memory.py` measures what that costs.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, _TOP_PAD_BYTES)
