"""Gallery of candidate positions, their countries, and arrays cached on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from triovision.errors import Message, ModelError
from triovision.files import atomic_open
from triovision.geo.reverse import country_at
from triovision.geo.sphere import unit_vectors
from triovision.inference.geoclip.release import EXTRA

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Candidate positions.

    Attributes:
        lat_deg: Latitudes in degrees WGS 84, `float64` of shape `(n,)`.
        lon_deg: Longitudes in degrees WGS 84.
    """

    lat_deg: NDArray[np.float64]
    lon_deg: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of positions."""
        return len(self.lat_deg)

    @property
    def sha256(self) -> str:
        """Hash of the positions."""
        return hashlib.sha256(np.stack([self.lat_deg, self.lon_deg]).tobytes()).hexdigest()


def read_gallery(path: Path) -> Gallery:
    """Read the package's table `LAT,LON`.

    Raises:
        ModelError: If the file is unreadable, is no such table or holds a position outside the Earth's coordinates.
    """
    try:
        with path.open(encoding="utf-8") as file:
            header, *rows = file.read().splitlines()
        table = np.array([row.split(",") for row in rows], np.float64)
    except (OSError, ValueError) as exc:
        raise ModelError(str(path), Message("cannot be read ({why})", why=exc), EXTRA) from exc
    if header != "LAT,LON" or table.shape[1:] != (2,):
        raise ModelError(str(path), "is no table of LAT and LON", EXTRA)
    # As float32, like the inputs of the encoder in training and in the package's own `predict`.
    lat_deg, lon_deg = table.astype(np.float32).astype(np.float64).T
    if not ((np.abs(lat_deg) <= 90) & (np.abs(lon_deg) <= 180)).all():  # false for NaN, too
        raise ModelError(str(path), "holds a position that is not on Earth", EXTRA)
    return Gallery(lat_deg, lon_deg)


def country_indices(gallery: Gallery, labels: Sequence[str]) -> NDArray[np.int16]:
    """Look up the country of each position.

    A position on the high seas, or in a country that is no label, gets the country of the nearest position with one.

    Returns:
        Index of each position's label, `int16` of shape `(n,)`.

    Raises:
        ValueError: If no position lies in a country among the labels.
    """
    number = {label: i for i, label in enumerate(labels)}
    positions = zip(gallery.lat_deg, gallery.lon_deg, strict=True)
    index = np.array([number.get(country_at(*position) or "", -1) for position in positions], np.int16)
    inside = np.flatnonzero(index >= 0)
    if not len(inside):
        raise ValueError("`gallery` must have a position in one of `labels`")
    xyz = unit_vectors(gallery.lat_deg, gallery.lon_deg)
    for outside in np.flatnonzero(index < 0):
        index[outside] = index[inside[np.argmax(xyz[inside] @ xyz[outside])]]
    return index


def load_or_compute(
    path: Path, shape: tuple[int, ...], dtype: DTypeLike, compute: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """Load a cached array, memory-mapped; compute and write it where the file is missing or damaged.

    Args:
        path: An `.npy` file; its name must identify the inputs of `compute`.
        shape: Shape of the array; a file with another one is replaced.
        dtype: Type of the array; a file with another one is replaced.
        compute: Function that returns the array.

    Returns:
        The array, copied on write. Where the file cannot be written, it is in memory only and a warning is logged.
    """
    array = _mapped(path, shape, dtype)
    if array is None:
        array = compute()
        try:
            with atomic_open(path) as file:
                np.save(file, array)
        except OSError as exc:
            _logger.warning("%s cannot be written (%s): it will be computed again each time", path, exc.strerror)
        else:
            array = np.load(path, mmap_mode="c")
    return array


def _mapped(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any] | None:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="c")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as exc:
        _logger.warning("%s is damaged (%s) and is computed again", path, exc)
        return None
    if array.shape != shape or array.dtype != np.dtype(dtype):
        _logger.warning("%s holds %s %s and is computed again", path, array.dtype, array.shape)
        return None
    return array
