"""Great-circle distances, GeoScore and distance thresholds."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM: Final = 6371.0088
"""Mean radius of the Earth (IUGG)."""

THRESHOLDS_KM: Final = (1, 25, 200, 750, 2500)
"""Street, city, region, country and continent: the thresholds of the Im2GPS benchmarks."""

GEO_SCORE_SCALE_KM: Final = 1492.7
"""Distance at which the GeoScore has fallen to 1/e of its best (OpenStreetView-5M)."""


def distance_km(
    lat1_deg: ArrayLike, lon1_deg: ArrayLike, lat2_deg: ArrayLike, lon2_deg: ArrayLike
) -> NDArray[np.float64]:
    """Great-circle distance on a sphere of the Earth's mean radius.

    The haversine formula, with the haversine of the supplement summed on its own instead of taken as `1 - a`, so that
    nearly antipodal points keep their digits as nearly equal ones do.

    Args:
        lat1_deg: Latitude of the first point in degrees; scalar or array.
        lon1_deg: Longitude of the first point in degrees.
        lat2_deg: Latitude of the second point in degrees.
        lon2_deg: Longitude of the second point in degrees.

    Returns:
        Distance in km, of the arguments' broadcast shape (a NumPy scalar for scalars); NaN where an argument is NaN.
    """
    lat1, lon1, lat2, lon2 = (np.radians(np.asarray(x, np.float64)) for x in (lat1_deg, lon1_deg, lat2_deg, lon2_deg))
    half_lon = (lon2 - lon1) / 2
    cosines = np.cos(lat1) * np.cos(lat2)
    near = np.sin((lat2 - lat1) / 2) ** 2 + cosines * np.sin(half_lon) ** 2
    far = np.sin((lat2 + lat1) / 2) ** 2 + cosines * np.cos(half_lon) ** 2
    angle: NDArray[np.float64] = 2 * np.arctan2(np.sqrt(near), np.sqrt(far))
    return EARTH_RADIUS_KM * angle


def geo_score(distance_km: ArrayLike) -> NDArray[np.float64]:
    """GeoScore of OpenStreetView-5M: 5000·exp(-d/1492.7), 5000 for a perfect guess.

    Args:
        distance_km: Distance between guess and truth in km; scalar or array.

    Returns:
        Score in [0, 5000], of the argument's shape; NaN where the distance is NaN.
    """
    return 5000 * np.exp(-np.asarray(distance_km, np.float64) / GEO_SCORE_SCALE_KM)
