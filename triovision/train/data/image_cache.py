"""Decoded and resized pictures, kept in a memory-mapped file so that later epochs decode nothing."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F
from tqdm import tqdm

from triovision.errors import PhotoError, RecipeError
from triovision.files import atomic_write
from triovision.inference.preprocessing import Preprocessing
from triovision.photo import read_photo
from triovision.train.data.array_store import Appender, ArrayStore
from triovision.train.data.manifest import Manifest
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.data.workers import map_in_processes
from triovision.train.recipes.sections import Augmentation

log = logging.getLogger(__name__)

_CHUNK = 16
Picture = NDArray[np.uint8]
_Task = tuple[int, Path]
_Outcome = tuple[int, Picture | str]


class Resize(Protocol):
    """What is kept of a photo; `repr` names it, `typical_bytes` is what a picture of it takes."""

    @property
    def typical_bytes(self) -> int:
        """Bytes that a picture of usual shape takes."""
        ...

    def __call__(self, image_hwc: Picture) -> Picture:
        """The picture that is kept."""
        ...


@dataclass(frozen=True, slots=True)
class ShorterSide:
    """A whole picture whose shorter side is at most this many pixels; for random crops."""

    pixels: int

    @property
    def typical_bytes(self) -> int:
        """Bytes of a picture three by two."""
        return self.pixels * self.pixels * 3 * 3 // 2

    def __call__(self, image_hwc: Picture) -> Picture:
        """The picture, antialiased; one that is small enough stays as it is."""
        if min(image_hwc.shape[:2]) <= self.pixels:
            return image_hwc
        image_chw = torch.from_numpy(image_hwc.copy()).permute(2, 0, 1)
        resized: Picture = F.resize(image_chw, [self.pixels], antialias=True).permute(1, 2, 0).numpy()
        return resized


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """The square that the finished model sees; for validation."""

    preprocessing: Preprocessing

    @property
    def typical_bytes(self) -> int:
        """Bytes of every picture."""
        return self.preprocessing.input_size**2 * 3

    def __call__(self, image_hwc: Picture) -> Picture:
        """The square."""
        square: Picture = self.preprocessing.image(image_hwc).permute(1, 2, 0).numpy()
        return square


def shorter_side(augmentation: Augmentation) -> int:
    """Shorter side in pixels at which the smallest random crop still has as many pixels as the network is shown."""
    return math.ceil(augmentation.train_size / math.sqrt(augmentation.min_area))


@dataclass(frozen=True)
class ImageCache:
    """Pictures of a manifest's photos by file name.

    Attributes:
        store: Where they are, by row of the manifest.
        files: All files of the manifest.
    """

    store: ArrayStore
    files: tuple[str, ...]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of the manifest of each file."""
        return {file: row for row, file in enumerate(self.files)}

    def picture(self, file: str) -> Picture | None:
        """`uint8` pixels `(height, width, 3)`, read-only; None if the photo could not be read."""
        found: Picture | None = self.store.get(self.rows[file])
        return found


def open_cache(
    folder: Path, manifest: Manifest, files: Sequence[str], resize: Resize, workers: int, bad: UnreadablePhotos
) -> ImageCache:
    """The cache of a manifest's pictures at one size, after adding what it lacks; a killed build goes on.

    A photo that cannot be read is listed and left out, and tried again when the cache is next opened. Photos are told
    apart by name: after replacing photos without touching the manifest, delete the folder.

    Args:
        folder: Folder of all caches; each manifest and size has its own below it.
        manifest: The whole manifest.
        files: Those of its files that are needed.
        resize: What is kept of each photo.
        workers: Processes that decode; 0 decodes in this one.
        bad: Where photos that cannot be read are listed.

    Raises:
        RecipeError: If the disk is (or would be) full, or too many photos cannot be read.
    """
    about = {"manifest_sha256": manifest.sha256, "root": str(manifest.root.resolve()), "pictures": repr(resize)}
    store = ArrayStore(cache_folder(folder, about), np.uint8)
    cache = ImageCache(store, tuple(manifest.table["file"]))
    needed = np.unique([cache.rows[file] for file in files]).astype(np.int64)
    if not store.has(needed).all():
        with store.writing() as appender:
            missing = needed[~store.has(needed)]
            check_space(store.folder, len(missing) * resize.typical_bytes)
            tasks = [(int(row), manifest.root / cache.files[row]) for row in missing]
            decoded = map_in_processes(
                partial(_decode, resize), tasks, workers=workers, chunk_size=_CHUNK, on_crash=_crashed
            )
            _add(appender, decoded, cache.files, len(tasks), bad)
    return cache


def cache_folder(folder: Path, about: dict[str, str]) -> Path:
    """The subfolder of what is described; made, with the description in it.

    Raises:
        RecipeError: If it cannot be made, or is that of something else.
    """
    text = json.dumps(about, indent=2, sort_keys=True) + "\n"
    found = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    path = found / "about.json"
    try:
        found.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            atomic_write(path, text)
        same = path.read_text(encoding="utf-8") == text
    except OSError as exc:
        raise RecipeError(str(found), f"cannot be used ({exc.strerror})", "Give another --cache folder") from exc
    if not same:
        raise RecipeError(str(found), "is the cache of something else", "Delete this folder; it is made again")
    return found


def check_space(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for.

    Raises:
        RecipeError: If fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        reason = f"needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise RecipeError(str(folder), reason, "Free some space or give another --cache folder")


def _add(
    appender: Appender, outcomes: Iterator[list[_Outcome]], files: Sequence[str], n_photos: int, bad: UnreadablePhotos
) -> None:
    with tqdm(total=n_photos, desc="decoding once", unit="photo", disable=None) as bar:
        for chunk in outcomes:
            appender.append([(row, picture) for row, picture in chunk if not isinstance(picture, str)])
            for row, reason in chunk:
                if isinstance(reason, str):
                    log.warning("skipped %s: %s", files[row], reason)
                    bad.add(files[row], reason)
            bad.check()
            bar.update(len(chunk))


def _decode(resize: Resize, task: _Task) -> _Outcome:
    row, path = task
    try:
        return row, resize(read_photo(path.read_bytes(), path.name).image_hwc)
    except OSError as exc:
        return row, f"it cannot be opened ({exc.strerror})"
    except PhotoError as exc:
        return row, exc.reason


def _crashed(task: _Task) -> _Outcome:
    return task[0], "its content makes the decoder crash"
