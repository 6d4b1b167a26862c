"""Shapes of a flat map: geodesic circles and lines, boxes, cells of density or shadow, rectangles of a reader.

Longitudes continue beyond ±180° where a shape crosses the date line, so that neighbouring points stay neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triovision.errors import EvidenceError
from triovision.geo import EARTH_RADIUS_KM, Box, Density, ShadowBand
from triovision.geo.equal_area import grid

Points = NDArray[np.float64]
"""Shape `(n, 2)`: latitude and longitude in degrees."""

_STEPS: Final = 361  # points of a circle; an odd number, so that one lies due south
_SHADED: Final = 0.95  # probability of the shaded cells together
_MAX_OPACITY: Final = 0.7
_SHADOW_OPACITY: Final = 0.3
_KM_PER_DEG: Final = EARTH_RADIUS_KM * np.pi / 180
_FULL_TURN: Final = 360


def near_lon_deg(lon_deg: float, reference_deg: float) -> float:
    """The longitude plus or minus full turns, so that it lies within 180° of a reference."""
    return reference_deg + (lon_deg - reference_deg + 180) % 360 - 180


def circle(lat_deg: float, lon_deg: float, radius_km: float) -> Points:
    """Points at one great-circle distance from a centre.

    Source: J. P. Snyder, Map Projections, a Working Manual (1987), equations 5-5 and 5-6.

    Args:
        lat_deg: Latitude of the centre.
        lon_deg: Longitude of the centre.
        radius_km: Great-circle radius, at most half of the Earth's circumference.

    Returns:
        Points, the first one repeated at the end. If the circle encloses a pole, the last longitude differs from the
        first by 360°.
    """
    lat = np.radians(np.clip(lat_deg, -89.999, 89.999))  # at the pole itself all bearings are equal
    angle = radius_km / EARTH_RADIUS_KM
    bearing = np.linspace(0, 2 * np.pi, _STEPS)
    height = np.sin(lat) * np.cos(angle) + np.cos(lat) * np.sin(angle) * np.cos(bearing)
    ring_lat = np.arcsin(height.clip(-1, 1))
    east = np.sin(bearing) * np.sin(angle) * np.cos(lat)
    ring_lon = np.unwrap(np.arctan2(east, np.cos(angle) - np.sin(lat) * np.sin(ring_lat)))
    return np.column_stack([np.degrees(ring_lat), lon_deg + np.degrees(ring_lon)])


def disc(lat_deg: float, lon_deg: float, radius_km: float) -> list[Points]:
    """Rings around the inside of `circle`, to be filled by the even-odd rule.

    A disc that contains one pole reaches it along all meridians; a disc that contains both is the world with a hole.
    Both are repeated over three worlds, so that a map panned across the date line stays filled.
    """
    ring = circle(lat_deg, lon_deg, radius_km)
    if _encloses_pole(ring):
        if ring[0, 1] > ring[-1, 1]:
            ring = ring[::-1]
        worlds = np.vstack([np.add(ring, [0, turn]) for turn in (-360, 0, 360)])
        pole = np.copysign(90, lat_deg)
        return [np.vstack([worlds, [pole, worlds[-1, 1]], [pole, worlds[0, 1]]])]
    if _contains_both_poles(lat_deg, radius_km):
        opposite = np.subtract(ring, [0, ring[:, 1].mean() - lon_deg])  # the hole on the meridian of the centre
        west, east = lon_deg - 720, lon_deg + 720
        world = np.array([[90.0, west], [90.0, east], [-90.0, east], [-90.0, west]])
        return [world, *(np.add(opposite, [0, turn]) for turn in (-540, -180, 180, 540))]
    return [ring]


def disc_bounds(lat_deg: float, lon_deg: float, radius_km: float) -> Points:
    """South-west and north-east corner of the inside of `circle`, shape `(2, 2)`."""
    ring = circle(lat_deg, lon_deg, radius_km)
    if _contains_both_poles(lat_deg, radius_km):
        return np.array([[-90.0, lon_deg - 180], [90.0, lon_deg + 180]])
    if _encloses_pole(ring):
        pole = np.copysign(90, lat_deg)
        south, north = sorted((pole, float(ring[:, 0].min() if pole > 0 else ring[:, 0].max())))
        return np.array([[south, lon_deg - 180], [north, lon_deg + 180]])
    return np.array([ring.min(axis=0), ring.max(axis=0)])


def great_circle(start: tuple[float, float], end: tuple[float, float], steps: int = 65) -> Points:
    """Points on the shortest line between two places, `(lat_deg, lon_deg)` each, by spherical interpolation."""
    lat, lon = np.radians(np.array([start, end])).T
    a, b = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    angle = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    if np.sin(angle) < 1e-9:  # the same place, or antipodes, between which all great circles are equally short
        return np.array([start, (end[0], near_lon_deg(end[1], start[1]))])
    t = np.linspace(0, 1, steps)[:, None]
    x, y, z = ((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)).T
    lat_deg, lon_deg = np.degrees(np.arcsin(np.clip(z, -1, 1))), np.degrees(np.unwrap(np.arctan2(y, x)))
    return np.column_stack([lat_deg, lon_deg - lon_deg[0] + start[1]])


def density_cells(density: Density, lon_deg: float) -> list[list[float]]:
    """The cells that hold 95 % of a density, as rectangles.

    Args:
        density: The density.
        lon_deg: Reference longitude; the centre of every cell lies within 180° of it.

    Returns:
        South, west, north and east edge in degrees and opacity of each cell, the most probable first.
    """
    order = np.argsort(-density.probability, kind="stable")
    kept = order[: int(np.searchsorted(np.cumsum(density.probability[order]), _SHADED)) + 1]
    # The square root makes a second cluster visible beside a strong first one.
    opacity = _MAX_OPACITY * np.sqrt(density.probability[kept] / density.probability[kept[0]])
    rows = []
    for (south, west, north, east), alpha in zip(density.bounds_deg[kept].tolist(), opacity.tolist(), strict=True):
        left = near_lon_deg((west + east) / 2, lon_deg) - (east - west) / 2
        rows.append([round(value, 3) for value in (south, left, north, left + east - west, alpha)])
    return rows


def shadow_cells(band: ShadowBand, lon_deg: float) -> list[list[float]]:
    """The cells of equal area whose middle lies in a band; they are finer where the band is narrow.

    Args:
        band: The band.
        lon_deg: Reference longitude; the centre of every cell lies within 180° of it.

    Returns:
        South, west, north and east edge in degrees and opacity of each cell, as from `density_cells`.
    """
    side_km = float(np.clip(50 * np.round(band.tolerance_deg * _KM_PER_DEG / 150), 50, 200))
    bounds = grid(side_km).bounds_deg
    south, west, north, east = bounds.T
    inside = bounds[band.contains((south + north) / 2, (west + east) / 2)]
    rows = []
    for south_deg, west_deg, north_deg, east_deg in inside.tolist():
        left = near_lon_deg((west_deg + east_deg) / 2, lon_deg) - (east_deg - west_deg) / 2
        right = left + east_deg - west_deg
        rows.append([*(round(value, 3) for value in (south_deg, left, north_deg, right)), _SHADOW_OPACITY])
    return rows


def box_corners(box: Box, lon_deg: float) -> list[list[float]]:
    """South-west and north-east corner of a box, its centre within 180° of a reference longitude."""
    width = box.width_deg
    west = near_lon_deg(box.west_deg + width / 2, lon_deg) - width / 2
    return [[box.south_deg, west], [box.north_deg, west + width]]


def drawn_box(drawings: Sequence[Any] | None) -> Box | None:
    """Read the last drawing of a reader as a box, if it is a rectangle.

    Longitudes are wrapped into ±180°, and latitudes are cut at the poles.

    Args:
        drawings: GeoJSON features from the browser; they are not trusted to be valid.

    Returns:
        The box, or None without drawings or for any other shape.
    """
    try:
        (ring,) = (drawings or ())[-1]["geometry"]["coordinates"]
        lon_deg, lat_deg = ({float(point[axis]) for point in ring} for axis in (0, 1))
        (west, east), (south, north) = sorted(lon_deg), sorted(lat_deg)
        if not all(map(isfinite, (west, east, south, north))):
            return None
        whole_turn = east - west >= _FULL_TURN
        return Box(
            south_deg=max(-90.0, south),
            north_deg=min(90.0, north),
            west_deg=-180.0 if whole_turn else _wrapped(west),
            east_deg=180.0 if whole_turn else _wrapped(east),
        )
    except (LookupError, TypeError, ValueError, EvidenceError):
        return None


def _encloses_pole(ring: Points) -> bool:
    return bool(abs(ring[-1, 1] - ring[0, 1]) > 180)


def _contains_both_poles(lat_deg: float, radius_km: float) -> bool:
    return bool(radius_km / EARTH_RADIUS_KM > np.pi / 2 + np.radians(abs(lat_deg)))


def _wrapped(lon_deg: float) -> float:
    return (lon_deg + 180) % _FULL_TURN - 180
