"""Append-only store of arrays by key in a memory-mapped file; a kill loses at most the last batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from triovision.errors import RecipeError

_RECORD = np.dtype([("key", "<i8"), ("offset", "<i8"), ("shape", "<i4", (3,))])


class ArrayStore:
    """Three-dimensional read-only arrays of one type; one process at a time appends, any number read.

    The bytes of an array are written before its record, so every array with a record is complete.

    Args:
        folder: Folder of `arrays.bin` and `index.bin`.
        dtype: Type of the elements.
    """

    def __init__(self, folder: Path, dtype: type[np.generic]) -> None:
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.data_path, self.index_path = folder / "arrays.bin", folder / "index.bin"
        self.refresh()

    def refresh(self) -> None:
        """Read the index again."""
        self._bytes: NDArray[np.uint8] | None = None
        records = _whole_records(self.index_path, self.data_path, self.dtype.itemsize)
        self._records = records[np.argsort(records["key"], kind="stable")]

    def __getstate__(self) -> dict[str, Any]:
        """Without the memory map: another process maps the file itself."""
        return self.__dict__ | {"_bytes": None}

    def __len__(self) -> int:
        """Number of arrays."""
        return len(self._records)

    def has(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of the keys that have an array."""
        return np.isin(keys, self._records["key"])

    def get(self, key: int) -> NDArray[Any] | None:
        """The array of a key, read-only; None if there is none."""
        at = int(np.searchsorted(self._records["key"], key))
        if at == len(self._records) or self._records["key"][at] != key:
            return None
        if self._bytes is None:
            self._bytes = np.memmap(self.data_path, dtype=np.uint8, mode="r")
        record = self._records[at]
        start, shape = int(record["offset"]), tuple(record["shape"].tolist())
        size = int(np.prod(shape)) * self.dtype.itemsize
        array: NDArray[Any] = np.asarray(self._bytes[start : start + size]).view(self.dtype).reshape(shape)
        return array

    @contextmanager
    def writing(self) -> Iterator[Appender]:
        """Lock the store and append to it; waits for another process, and then has its arrays too.

        Raises:
            RecipeError: If the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "lock"):
                self.refresh()
                try:
                    yield Appender(self)
                finally:
                    self.refresh()
        except OSError as exc:
            raise _cannot_write(self.folder, exc) from exc


class Appender:
    """Appends to a store; an incomplete end left by a killed process is truncated first."""

    def __init__(self, store: ArrayStore) -> None:
        self.store = store
        records = store._records
        sizes = records["shape"].astype(np.int64).prod(axis=1) * store.dtype.itemsize
        self.data_end = int((records["offset"] + sizes).max(initial=0))
        # Records are in the order of writing, broken ones last.
        self.index_end = len(records) * _RECORD.itemsize
        self._cut()

    def append(self, arrays: Sequence[tuple[int, NDArray[Any]]]) -> None:
        """Write arrays with their keys: all of them, or none.

        Raises:
            RecipeError: If the disk is full; arrays written before are kept.
        """
        records = np.zeros(len(arrays), dtype=_RECORD)
        end = self.data_end
        for record, (key, array) in zip(records, arrays, strict=True):
            record["key"], record["offset"], record["shape"] = key, end, array.shape
            end += array.nbytes
        try:
            _append(self.store.data_path, b"".join(np.ascontiguousarray(array).tobytes() for _, array in arrays))
            _append(self.store.index_path, records.tobytes())
        except OSError as exc:
            self._cut()
            raise _cannot_write(self.store.folder, exc) from exc
        self.data_end, self.index_end = end, self.index_end + records.nbytes

    def _cut(self) -> None:
        for path, end in ((self.store.index_path, self.index_end), (self.store.data_path, self.data_end)):
            path.touch()
            os.truncate(path, end)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _whole_records(index: Path, data: Path, itemsize: int) -> NDArray[np.void]:
    """The records before the first one that is truncated or has no array."""
    if not index.exists() or not data.exists():
        return np.zeros(0, dtype=_RECORD)
    content = index.read_bytes()
    records = np.frombuffer(content, dtype=_RECORD, count=len(content) // _RECORD.itemsize)
    ends = records["offset"] + records["shape"].astype(np.int64).prod(axis=1) * itemsize
    complete = (records["offset"] >= 0) & (records["shape"] > 0).all(axis=1) & (ends <= data.stat().st_size)
    return records if complete.all() else records[: int(complete.argmin())]


def _cannot_write(folder: Path, exc: OSError) -> RecipeError:
    remedy = "Free some space or give another folder, then repeat the command; finished work is kept"
    return RecipeError(str(folder), f"cannot be written to ({exc.strerror or exc})", remedy)
