"""The folder that a download fills: where each photo goes, and what is finished, so that it can go on after a kill."""

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
from triovision.train.data.gldv2.resize import SmallJpeg
from triovision.transfer import DownloadError

FAILURES = "failures.csv"
_STATE = ".download"
_PHOTO_NAME = re.compile(r"([0-9a-f]{16})\.jpg")


class Failure(NamedTuple):
    """A shard or a photo that is not there, and why."""

    item: str
    reason: str


def photo_key(name: str) -> int | None:
    """The id in a photo's file name as a number, or None if it is no such name."""
    match = _PHOTO_NAME.fullmatch(name)
    return int(match[1], 16) if match else None


def photo_file(key: int) -> str:
    """Path of a photo below its folder, as in the official shards: id `0123456789abcdef` is in `0/1/2`."""
    name = f"{key:016x}"
    return f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg"


class PhotoFolder:
    """Photos of one selection, all stored alike.

    Args:
        root: The folder; made where it is missing.
        keys: Ids of the wanted photos as numbers, ascending, `uint64`.
        form: How photos are stored.

    Raises:
        DownloadError: If the folder was begun with other photos or another form.
        OSError: If the folder cannot be written.
    """

    def __init__(self, root: Path, keys: NDArray[np.uint64], form: SmallJpeg) -> None:
        self.root = root
        self.form = form
        self._keys = keys
        self._begin()

    def __contains__(self, key: int) -> bool:
        """Whether a photo is wanted."""
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        return at < len(self._keys) and int(self._keys[at]) == key

    def __len__(self) -> int:
        """Number of wanted photos."""
        return len(self._keys)

    def path(self, key: int) -> Path:
        """Where a photo goes."""
        return self.root / photo_file(key)

    def partial(self, name: str) -> Path:
        """Where a file is gathered until it is whole."""
        return self.root / _STATE / f"{name}.part"

    def finish(self, shard: str, failures: Sequence[Failure]) -> None:
        """Note that all that can be had of a shard is here, and what of it cannot."""
        atomic_write(self._note(shard), json.dumps(failures).encode())

    def finished(self, shard: str) -> tuple[Failure, ...] | None:
        """What failed of a finished shard; None while it is not finished."""
        try:
            return tuple(Failure(*failure) for failure in json.loads(self._note(shard).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):  # a damaged note is no note
            return None

    def present(self) -> NDArray[np.uint64]:
        """Ids of the wanted photos that are here, ascending."""
        names = (path.name for path in self.root.glob("[0-9a-f]/[0-9a-f]/[0-9a-f]/*.jpg"))
        keys = np.fromiter((key for name in names if (key := photo_key(name)) is not None), np.uint64)
        return np.intersect1d(keys, self._keys)

    def absent(self, present: NDArray[np.uint64]) -> list[int]:
        """Ids of the wanted photos that are not among `present`."""
        return [int(key) for key in np.setdiff1d(self._keys, present)]

    def report(self, failures: Iterable[Failure]) -> None:
        """Write `failures.csv` anew."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(Failure._fields)
        writer.writerows(failures)
        atomic_write(self.root / FAILURES, text.getvalue().encode())

    def _note(self, shard: str) -> Path:
        return self.root / _STATE / f"{shard}.json"

    def _begin(self) -> None:
        settings = {
            "photos_sha256": hashlib.sha256(self._keys.astype("<u8").tobytes()).hexdigest(),
            "short_side_px": self.form.short_side_px,
            "quality": self.form.quality,
        }
        path = self.root / _STATE / "settings.json"
        try:
            begun = json.loads(path.read_bytes())
        except FileNotFoundError:
            atomic_write(path, json.dumps(settings).encode())
            return
        except ValueError as exc:
            raise DownloadError(str(path), "is damaged", "Remove it if the folder is for the same photos") from exc
        if differing := [name for name, value in settings.items() if begun.get(name) != value]:
            raise DownloadError(
                str(self.root),
                f"was begun with another {', '.join(differing)}",
                "Use the same command or another --out",
            )
