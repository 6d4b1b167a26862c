"""Cache of decoded and resized images in a memory-mapped file."""

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

_CHUNK_SIZE = 16
Image = NDArray[np.uint8]
_Task = tuple[int, Path]
_Outcome = tuple[int, Image | str]


class Resize(Protocol):
    """Resizing of cached images; its `repr` is part of the name of the cache."""

    @property
    def typical_bytes(self) -> int:
        """Size of an image of usual aspect ratio, in bytes."""
        ...

    def __call__(self, image_hwc: Image) -> Image:
        """Resize an image of shape `(height, width, 3)`."""
        ...


@dataclass(frozen=True, slots=True)
class ShorterSide:
    """Resize the shorter side to at most this number of pixels, for random crops."""

    pixels: int

    @property
    def typical_bytes(self) -> int:
        """Size of an image with aspect ratio 3:2, in bytes."""
        return self.pixels * self.pixels * 3 * 3 // 2

    def __call__(self, image_hwc: Image) -> Image:
        """Resize with antialiasing; smaller images are not changed."""
        if min(image_hwc.shape[:2]) <= self.pixels:
            return image_hwc
        image_chw = torch.from_numpy(image_hwc.copy()).permute(2, 0, 1)
        resized: Image = F.resize(image_chw, [self.pixels], antialias=True).permute(1, 2, 0).numpy()
        return resized


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """Resize to the input of the model, for validation."""

    preprocessing: Preprocessing

    @property
    def typical_bytes(self) -> int:
        """Size of an image in bytes."""
        return self.preprocessing.input_size**2 * 3

    def __call__(self, image_hwc: Image) -> Image:
        """Resize and crop to a square."""
        square: Image = self.preprocessing.image(image_hwc).permute(1, 2, 0).numpy()
        return square


def shorter_side(augmentation: Augmentation) -> int:
    """Smallest shorter side in pixels at which no random crop is enlarged."""
    return math.ceil(augmentation.train_size / math.sqrt(augmentation.min_area))


@dataclass(frozen=True)
class ImageCache:
    """Cached images of the photos of a manifest, by file.

    Attributes:
        store: Images by row of the manifest.
        files: All files of the manifest.
    """

    store: ArrayStore
    files: tuple[str, ...]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of the manifest of each file."""
        return {file: row for row, file in enumerate(self.files)}

    def image(self, file: str) -> Image | None:
        """`uint8` pixels `(height, width, 3)`, read-only; None if the photo could not be read."""
        image: Image | None = self.store.get(self.rows[file])
        return image


def open_cache(
    folder: Path, manifest: Manifest, files: Sequence[str], resize: Resize, workers: int, unreadable: UnreadablePhotos
) -> ImageCache:
    """Open the image cache of a manifest and decode the photos that it lacks; a killed build is resumed.

    Unreadable photos are listed and left out; they are tried again when the cache is next opened. The cache
    identifies photos by file: delete the folder after replacing photos without changing the manifest.

    Args:
        folder: Folder of all caches, with a subfolder for each manifest and size.
        manifest: The whole manifest.
        files: Files of the manifest that are needed.
        resize: Resizing of the images.
        workers: Processes that decode; 0 decodes in this one.
        unreadable: List of unreadable photos.

    Raises:
        RecipeError: If the disk is (or would be) full, or too many photos cannot be read.
    """
    key = {"manifest_sha256": manifest.sha256, "root": str(manifest.root.resolve()), "images": repr(resize)}
    store = ArrayStore(cache_folder(folder, key), np.uint8)
    cache = ImageCache(store, tuple(manifest.table["file"]))
    needed = np.unique([cache.rows[file] for file in files]).astype(np.int64)
    if not store.has(needed).all():
        with store.writing() as appender:
            missing = needed[~store.has(needed)]
            check_space(store.folder, len(missing) * resize.typical_bytes)
            tasks = [(int(row), manifest.root / cache.files[row]) for row in missing]
            decoded = map_in_processes(
                partial(_decode, resize), tasks, workers=workers, chunk_size=_CHUNK_SIZE, on_crash=_crash
            )
            _append(appender, decoded, cache.files, len(tasks), unreadable)
    return cache


def cache_folder(folder: Path, key: dict[str, str]) -> Path:
    """Create the subfolder of a cache key, with the key in `key.json`.

    Raises:
        RecipeError: If it cannot be created, or has another key.
    """
    text = json.dumps(key, indent=2, sort_keys=True) + "\n"
    subfolder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    path = subfolder / "key.json"
    try:
        subfolder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            atomic_write(path, text)
        same = path.read_text(encoding="utf-8") == text
    except OSError as exc:
        raise RecipeError(str(subfolder), f"cannot be used ({exc.strerror})", "Give another --cache folder") from exc
    if not same:
        raise RecipeError(str(subfolder), "is a cache with another key", "Delete this folder")
    return subfolder


def check_space(folder: Path, needed: int) -> None:
    """Check that the disk has enough free space.

    Raises:
        RecipeError: If fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        reason = f"needs about {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free"
        raise RecipeError(str(folder), reason, "Free some space or give another --cache folder")


def _append(
    appender: Appender,
    outcomes: Iterator[list[_Outcome]],
    files: Sequence[str],
    n_photos: int,
    unreadable: UnreadablePhotos,
) -> None:
    with tqdm(total=n_photos, desc="decoding", unit="photo", disable=None) as bar:
        for chunk in outcomes:
            appender.append([(row, image) for row, image in chunk if not isinstance(image, str)])
            for row, reason in chunk:
                if isinstance(reason, str):
                    log.warning("skipped %s: %s", files[row], reason)
                    unreadable.add(files[row], reason)
            unreadable.check()
            bar.update(len(chunk))


def _decode(resize: Resize, task: _Task) -> _Outcome:
    row, path = task
    try:
        return row, resize(read_photo(path.read_bytes(), path.name).image_hwc)
    except OSError as exc:
        return row, f"cannot be opened ({exc.strerror})"
    except PhotoError as exc:
        return row, exc.reason


def _crash(task: _Task) -> _Outcome:
    return task[0], "its content crashes the decoder"
