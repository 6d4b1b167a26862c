"""Photos whose position can be learnt from, and what keeps the others from it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triovision.errors import ManifestError
from triovision.train.data.manifest import Manifest

log = logging.getLogger(__name__)
_NAMED = 5


@dataclass(frozen=True, slots=True)
class LocatedPhotos:
    """The photos of a manifest that have a position.

    Attributes:
        manifest: Those photos, in their order.
        without_position: Number of photos without any.
        impossible: Files whose position is half there or no place on Earth, and which are left out for it.
    """

    manifest: Manifest
    without_position: int
    impossible: tuple[str, ...]

    @property
    def lat_deg(self) -> NDArray[np.float64]:
        """Latitude of each photo in degrees, shape `(n,)`."""
        return np.asarray(self.manifest.table["lat"], np.float64)

    @property
    def lon_deg(self) -> NDArray[np.float64]:
        """Longitude of each photo in degrees, shape `(n,)`."""
        return np.asarray(self.manifest.table["lon"], np.float64)


def located(manifest: Manifest) -> LocatedPhotos:
    """Choose the photos that have a whole, possible position; log the files that have another.

    Raises:
        ManifestError: If no photo has one.
    """
    lat_deg = manifest.table["lat"].to_numpy(np.float64)
    lon_deg = manifest.table["lon"].to_numpy(np.float64)
    none = np.isnan(lat_deg) & np.isnan(lon_deg)
    possible = (np.abs(lat_deg) <= 90) & (np.abs(lon_deg) <= 180)  # false for what is no number
    impossible = tuple(manifest.table["file"][~none & ~possible])
    if impossible:
        named = ", ".join(impossible[:_NAMED]) + (" …" if len(impossible) > _NAMED else "")
        log.warning("left out %d photos whose position is half there or impossible: %s", len(impossible), named)
    if not possible.any():
        remedy = "Give a manifest with `lat` and `lon` in degrees"
        raise ManifestError("The manifest", f"has no photo with a position, of {len(manifest)}", remedy)
    return LocatedPhotos(manifest.where(possible), int(none.sum()), impossible)
