"""Folder of downloaded photos: paths, finished shards and failures, so that a download can be resumed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triovision.files import atomic_write
from triovision.photo.names import spreadsheet_safe
from triovision.train.data.gldv2.resize import SmallJpeg
from triovision.transfer_limits import DownloadError

FAILURES = "failures.csv"
_STATE = ".download"
_PHOTO_NAME = re.compile(r"([0-9a-f]{16})\.jpg")


class Failure(NamedTuple):
    """A missing shard or photo, and the reason."""

    item: str
    reason: str


def photo_key(name: str) -> int | None:
    """Id in the file name of a photo as a number; None for another name."""
    match = _PHOTO_NAME.fullmatch(name)
    return int(match[1], 16) if match else None


def photo_file(key: int) -> str:
    """Path of a photo as in the official shards: id `0123456789abcdef` is in `0/1/2`."""
    name = f"{key:016x}"
    return f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg"


class PhotoFolder:
    """Folder of the photos of one selection, in one format.

    Args:
        root: Folder, created if needed.
        keys: Ids of the requested photos as numbers, ascending, `uint64`.
        form: Format of the photos.

    Raises:
        DownloadError: If the folder has other photos or another format.
        OSError: If the folder cannot be written.
    """

    def __init__(self, root: Path, keys: NDArray[np.uint64], form: SmallJpeg) -> None:
        self.root = root
        self.form = form
        self._keys = keys
        self._check_settings()

    def __contains__(self, key: int) -> bool:
        """Whether a photo is requested."""
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        return at < len(self._keys) and int(self._keys[at]) == key

    def __len__(self) -> int:
        """Number of requested photos."""
        return len(self._keys)

    def path(self, key: int) -> Path:
        """Path of a photo."""
        return self.root / photo_file(key)

    def partial(self, name: str) -> Path:
        """Path of an incomplete file."""
        return self.root / _STATE / f"{name}.part"

    def finish(self, shard: str, failures: Sequence[Failure]) -> None:
        """Record that a shard is finished, with its failures."""
        atomic_write(self._record(shard), json.dumps(failures).encode())

    def finished(self, shard: str) -> tuple[Failure, ...] | None:
        """Failures of a finished shard; None if it is not finished."""
        try:
            return tuple(Failure(*failure) for failure in json.loads(self._record(shard).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):  # a damaged record counts as none
            return None

    def present(self) -> NDArray[np.uint64]:
        """Ids of the requested photos that are present, ascending."""
        names = (path.name for path in self.root.glob("[0-9a-f]/[0-9a-f]/[0-9a-f]/*.jpg"))
        keys = np.fromiter((key for name in names if (key := photo_key(name)) is not None), np.uint64)
        return np.intersect1d(keys, self._keys)

    def absent(self, present: NDArray[np.uint64]) -> list[int]:
        """Ids of the requested photos that are not in `present`."""
        return [int(key) for key in np.setdiff1d(self._keys, present)]

    def report(self, failures: Iterable[Failure]) -> None:
        """Write `failures.csv`."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(Failure._fields)
        writer.writerows([spreadsheet_safe(cell) for cell in failure] for failure in failures)
        atomic_write(self.root / FAILURES, text.getvalue().encode())

    def _record(self, shard: str) -> Path:
        return self.root / _STATE / f"{shard}.json"

    def _check_settings(self) -> None:
        settings = {
            "photos_sha256": hashlib.sha256(self._keys.astype("<u8").tobytes()).hexdigest(),
            "short_side_px": self.form.short_side_px,
            "quality": self.form.quality,
        }
        path = self.root / _STATE / "settings.json"
        try:
            existing = json.loads(path.read_bytes())
        except FileNotFoundError:
            atomic_write(path, json.dumps(settings).encode())
            return
        except ValueError as exc:
            raise DownloadError(str(path), "is damaged", "Remove it if the folder is for the same photos") from exc
        if differing := [name for name, value in settings.items() if existing.get(name) != value]:
            raise DownloadError(
                str(self.root),
                f"was started with another {', '.join(differing)}",
                "Use the same command or another --out",
            )
