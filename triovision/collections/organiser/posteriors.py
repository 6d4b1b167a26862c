"""Posteriors over places in a few kilobytes: the places once for many photos, the weights of each photo."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triovision.geo import WeightedPlaces

#: Of a posterior with more places, the most probable ones are kept: a gallery has 100,000.
MAX_PLACES: Final = 2000


@dataclass(frozen=True, slots=True, eq=False)
class PackedPosterior:
    """A posterior in two parts.

    Attributes:
        place_set: Hash of the places.
        weights: Weights of the places, compressed `float32`.
        arrays: The places; many photos of one model share them.
    """

    place_set: str
    weights: bytes
    arrays: dict[str, NDArray[Any]]

    def places(self) -> bytes:
        """Pack the places."""
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **self.arrays)
        return content.getvalue()


def packed_posterior(posterior: WeightedPlaces) -> PackedPosterior:
    """Pack a posterior."""
    count = len(posterior.weight)
    kept = np.arange(count)
    if count > MAX_PLACES:
        kept = np.sort(np.argsort(-posterior.weight, kind="stable")[:MAX_PLACES])
    arrays = {
        "lat_deg": posterior.lat_deg[kept],
        "lon_deg": posterior.lon_deg[kept],
        "countries": posterior.countries[kept],
        "names": np.array(posterior.names, np.str_)[kept] if posterior.names else np.empty(0, np.str_),
        "resolution_km": np.broadcast_to(np.asarray(posterior.resolution_km, np.float64), count)[kept],
    }
    place_set = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest()
    return PackedPosterior(place_set, zlib.compress(posterior.weight[kept].astype("<f4").tobytes(), 1), arrays)


def unpacked_places(places: bytes, weights: bytes) -> WeightedPlaces:
    """Return the posterior from its two parts, its weights scaled to sum to one."""
    weight = np.frombuffer(zlib.decompress(weights), "<f4").astype(np.float64)
    with np.load(io.BytesIO(places), allow_pickle=False) as arrays:
        return WeightedPlaces(
            lat_deg=arrays["lat_deg"],
            lon_deg=arrays["lon_deg"],
            weight=weight / weight.sum(),
            countries=arrays["countries"],
            names=arrays["names"].tolist(),
            resolution_km=arrays["resolution_km"],
        )
