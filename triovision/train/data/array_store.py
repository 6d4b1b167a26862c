"""Arrays by number in one memory-mapped file that only grows: a kill at any moment loses the last batch at most."""

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
    """Read-only three-dimensional arrays of one type; one process at a time appends, any number read.

    An array's bytes are on the disk before its record is, so whatever has a record is whole.

    Args:
        folder: Where `arrays.bin` and `index.bin` are or will be.
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
        """Another process maps the file itself."""
        return self.__dict__ | {"_bytes": None}

    def __len__(self) -> int:
        """Number of arrays."""
        return len(self._records)

    def has(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the keys have an array."""
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
        found: NDArray[Any] = np.asarray(self._bytes[start : start + size]).view(self.dtype).reshape(shape)
        return found

    @contextmanager
    def writing(self) -> Iterator[Appender]:
        """The right to append; waits while another process has it, and sees what that one wrote.

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
    """Appends to a store; what a killed process left unfinished is cut off first."""

    def __init__(self, store: ArrayStore) -> None:
        self.store = store
        records = store._records
        sizes = records["shape"].astype(np.int64).prod(axis=1) * store.dtype.itemsize
        self.data_end = int((records["offset"] + sizes).max(initial=0))
        # Records are in the file in the order of writing, the broken ones last.
        self.index_end = len(records) * _RECORD.itemsize
        self._cut()

    def append(self, arrays: Sequence[tuple[int, NDArray[Any]]]) -> None:
        """Write three-dimensional arrays with their keys: all of them, or none.

        Raises:
            RecipeError: If the disk is full; what was written before stays.
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
    """The records up to the first that is cut short or whose array is not there."""
    if not index.exists() or not data.exists():
        return np.zeros(0, dtype=_RECORD)
    content = index.read_bytes()
    records = np.frombuffer(content, dtype=_RECORD, count=len(content) // _RECORD.itemsize)
    ends = records["offset"] + records["shape"].astype(np.int64).prod(axis=1) * itemsize
    sound = (records["offset"] >= 0) & (records["shape"] > 0).all(axis=1) & (ends <= data.stat().st_size)
    return records if sound.all() else records[: int(sound.argmin())]


def _cannot_write(folder: Path, exc: OSError) -> RecipeError:
    remedy = "Free some space or give another folder, then give the same command: what was written stays"
    return RecipeError(str(folder), f"cannot be written to ({exc.strerror or exc})", remedy)
