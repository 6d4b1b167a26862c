"""Photos of sessions, whose pixels are in memory while somebody looks at them."""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from typing import Final
from weakref import ref

from PIL import Image

from triovision.photo import decoder_pool
from triovision.results import Photo
from triovision.ui.memory_budget import memory_budget

PIXEL_BYTES: Final = 100_000_000
_SMALL_FILE_BYTES: Final = 500_000
_THUMBNAIL_PX: Final = (192, 144)  # twice the size on the page, for dense screens


class StoredPhoto:
    """Photo of a session. Its pixels leave memory when other photos are looked at, and come back unchanged.

    Attributes:
        name: File name as given by the outside.
        camera: What the camera wrote.

    Args:
        photo: The decoded photo.
        file: The file that it was decoded from, which is kept if it is small.
    """

    __slots__ = ("__weakref__", "_facts", "_file", "_photo", "_thumbnail", "camera", "name")

    def __init__(self, photo: Photo, file: bytes) -> None:
        self.name, self.camera = photo.name, photo.camera
        self._facts = (photo.original_width_px, photo.original_height_px, photo.format, photo.warnings)
        self._file = file if len(file) <= _SMALL_FILE_BYTES else b""
        self._photo: Photo | None = photo
        self._thumbnail = ""
        _count(self)
        _pixels.used(self, photo.image_hwc.nbytes)

    @property
    def held_bytes(self) -> int:
        """Bytes of the file and the pixels."""
        photo = self._photo
        return len(self._file) + (0 if photo is None else photo.image_hwc.nbytes)

    def read(self) -> Photo:
        """Return the photo, decoded again if its pixels have left memory.

        Raises:
            PhotoError: If no decoder process is free in time.
        """
        photo = self._photo
        if photo is None:
            width_px, height_px, kind, warnings = self._facts
            photo = Photo(
                name=self.name,
                image_hwc=decoder_pool().read(self._file, self.name).image_hwc,
                original_width_px=width_px,
                original_height_px=height_px,
                format=kind,
                camera=self.camera,
                warnings=warnings,
            )
            self._photo = photo
            _count(self)
        _pixels.used(self, photo.image_hwc.nbytes)
        return photo

    def thumbnail(self) -> str:
        """Small JPEG as a data URL, made once."""
        if not self._thumbnail:
            self._thumbnail = _data_url(self._photo or self.read())
        return self._thumbnail

    def drop_pixels(self) -> None:
        """Keep a file of the same pixels instead of the pixels."""
        photo = self._photo
        if photo is None:
            return
        self.thumbnail()
        if not self._file:
            self._file = _lossless(photo)
        self._photo = None  # last: another thread may be reading
        _count(self)


class _RecentPixels:
    """Decoded photos of all sessions, those looked at last, up to a number of bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._recent: OrderedDict[ref[StoredPhoto], int] = OrderedDict()

    def used(self, photo: StoredPhoto, count: int) -> None:
        """Note that somebody looks at a photo, and drop the pixels of those looked at longest ago."""
        dropped = []
        with self._lock:
            for gone in [one for one in self._recent if one() is None]:
                del self._recent[gone]
            self._recent[ref(photo)] = count
            self._recent.move_to_end(ref(photo))
            total = sum(self._recent.values())
            while total > self.limit_bytes and len(self._recent) > 1:
                oldest, of_oldest = self._recent.popitem(last=False)
                total -= of_oldest
                dropped.append(oldest())
        for one in dropped:  # outside the lock: writing a file takes a while
            if one is not None:
                one.drop_pixels()


_pixels = _RecentPixels(PIXEL_BYTES)


def _count(photo: StoredPhoto) -> None:
    memory_budget().hold(photo, photo.held_bytes)


def _lossless(photo: Photo) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo.image_hwc).save(file, "WEBP", lossless=True, quality=0, method=0)  # the fastest
    return file.getvalue()


def _data_url(photo: Photo) -> str:
    image = Image.fromarray(photo.image_hwc)
    image.thumbnail(_THUMBNAIL_PX, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
