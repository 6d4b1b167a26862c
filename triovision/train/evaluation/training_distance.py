"""Distance errors by the distance to the nearest training photo: recognition of known places against new ones."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from triovision.errors import ManifestError
from triovision.geo import EARTH_RADIUS_KM
from triovision.geo.sphere import unit_vectors
from triovision.inference import ModelCard
from triovision.train.data.manifest import Manifest
from triovision.train.data.overlap import training_rows
from triovision.train.data.splits import without_test
from triovision.train.evaluation.metrics import distance_scores

Floats = NDArray[np.float64]

#: Bands of the distance to the nearest training photo, in km, by name: from the first number, below the second.
BANDS_KM: Final = {
    "under_1_km": (0.0, 1.0),
    "1_to_25_km": (1.0, 25.0),
    "25_to_200_km": (25.0, 200.0),
    "over_200_km": (200.0, math.inf),
}
_SHOWN: Final = ("median_km", "within_25_km", "within_200_km")


def training_photos(card: ModelCard, manifest: Manifest, evaluated: Manifest) -> Manifest:
    """Photos of a manifest that a model was trained on.

    Args:
        card: Card of the model.
        manifest: Manifest of the training photos. If the card does not tell which of them were training photos, all
            are, but for those that are evaluated and those of `without_test`.
        evaluated: Photos that are evaluated.
    """
    rows = training_rows(card, manifest)
    if rows is not None:
        return manifest.where(rows)
    others = without_test(manifest)
    return others.where(~others.table["file"].isin(evaluated.table["file"]))


def nearest_training_km(lat_deg: Floats, lon_deg: Floats, training: Manifest) -> Floats:
    """Great-circle distance from each position to the nearest training photo, shape `(n,)`; NaN without a position.

    Args:
        lat_deg: Latitudes in degrees, shape `(n,)`.
        lon_deg: Longitudes in degrees, shape `(n,)`.
        training: Training photos; those without a position are left out.

    Raises:
        ManifestError: If no training photo has a position.
    """
    positions = training.table[["lat", "lon"]].to_numpy(np.float64)
    positions = positions[np.isfinite(positions).all(axis=1)]
    if not len(positions):
        remedy = "Give a manifest of training photos with `lat` and `lon`"
        raise ManifestError(str(training.root), "has no training photo with a position", remedy)
    known = np.isfinite(lat_deg) & np.isfinite(lon_deg)
    nearest = np.full(len(lat_deg), np.nan)
    chord, _ = KDTree(unit_vectors(*positions.T)).query(unit_vectors(lat_deg[known], lon_deg[known]))
    nearest[known] = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(np.asarray(chord) / 2, 1))
    return nearest


def by_training_distance(error_km: Floats, nearest_km: Floats) -> dict[str, float | None]:
    """Number of photos, median error and fractions within 25 and 200 km, for each band of `BANDS_KM`.

    Args:
        error_km: Great-circle distance from prediction to truth, shape `(n,)`; NaN without a position.
        nearest_km: Distance from the truth to the nearest training photo, shape `(n,)`.

    Returns:
        Metrics by name, such as `trained_under_1_km_median_km`; None for a band without photos.
    """
    metrics: dict[str, float | None] = {}
    for band, (low, high) in BANDS_KM.items():
        chosen = (nearest_km >= low) & (nearest_km < high) & np.isfinite(error_km)
        scores = distance_scores(error_km[chosen]) if chosen.any() else {}
        metrics[f"trained_{band}_photos"] = float(chosen.sum())
        metrics |= {f"trained_{band}_{name}": scores.get(name) for name in _SHOWN}
    return metrics
