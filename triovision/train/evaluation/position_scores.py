"""How good positions are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from triovision.geo import THRESHOLDS_KM, distance_km, geo_score
from triovision.metrics.position import PositionScores

Floats = NDArray[np.float64]


def position_scores(lat_deg: Floats, lon_deg: Floats, guess_lat_deg: Floats, guess_lon_deg: Floats) -> PositionScores:
    """Scores of guesses, all of shape `(n,)` in degrees, n at least 1."""
    error_km = np.asarray(distance_km(lat_deg, lon_deg, guess_lat_deg, guess_lon_deg))
    return PositionScores.model_validate(
        {
            "photos": len(error_km),
            "median_km": float(np.median(error_km)),
            "mean_km": float(error_km.mean()),
            "r2_lat": _r2(lat_deg, guess_lat_deg),
            "r2_lon": _r2(lon_deg, guess_lon_deg),
            "geo_score": float(geo_score(error_km).mean()),
        }
        | {f"within_{km}_km": float((error_km <= km).mean()) for km in THRESHOLDS_KM}
    )


def _r2(truth: Floats, guess: Floats) -> float | None:
    return float(r2_score(truth, guess)) if np.ptp(truth) > 0 else None
