"""Cells of a density and boxes as rectangles on a flat map, beside the place that the map is about."""

from __future__ import annotations

from typing import Final

import numpy as np

from triovision.geo import Box, Density
from triovision.viz.geodesics import near_lon_deg

_SHADED: Final = 0.95
"""The cells that together hold this much are shaded."""
_DARKEST: Final = 0.7


def shading(density: Density, lon_deg: float) -> list[list[float]]:
    """South, west, north and east edge in degrees and opacity of each shaded cell, the most probable first.

    Args:
        density: What to shade.
        lon_deg: The meridian that all cells are to lie within 180° of.
    """
    order = np.argsort(-density.probability, kind="stable")
    kept = order[: int(np.searchsorted(np.cumsum(density.probability[order]), _SHADED)) + 1]
    # As the square root, so that a second cluster is seen beside a strong first one.
    opacity = _DARKEST * np.sqrt(density.probability[kept] / density.probability[kept[0]])
    rows = []
    for (south, west, north, east), alpha in zip(density.bounds_deg[kept].tolist(), opacity.tolist(), strict=True):
        left = near_lon_deg((west + east) / 2, lon_deg) - (east - west) / 2
        rows.append([round(value, 3) for value in (south, left, north, left + east - west, alpha)])
    return rows


def box_corners(box: Box, lon_deg: float) -> list[list[float]]:
    """South-west and north-east corner of a box, its middle within 180° of a meridian."""
    width = box.width_deg
    west = near_lon_deg(box.west_deg + width / 2, lon_deg) - width / 2
    return [[box.south_deg, west], [box.north_deg, west + width]]
