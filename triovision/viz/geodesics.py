"""Circles and lines on the sphere as points that a flat map can draw.

Longitudes run on beyond ±180° where a shape crosses the date line, so that neighbouring points stay neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triovision.geo import EARTH_RADIUS_KM

Points = NDArray[np.float64]
"""Shape `(n, 2)`: latitude and longitude in degrees."""

_STEPS = 361  # points of a circle; an odd number, so that it has one due south


def near_lon_deg(lon_deg: float, reference_deg: float) -> float:
    """The same meridian, counted so that it lies within 180° of another."""
    return reference_deg + (lon_deg - reference_deg + 180) % 360 - 180


def circle(lat_deg: float, lon_deg: float, radius_km: float) -> Points:
    """Points at one great-circle distance from a centre, the first one repeated at the end.

    If the circle goes round a pole, the last longitude is 360° off the first. Source: J. P. Snyder, Map Projections, a
    Working Manual (1987), equations 5-5 and 5-6.

    Args:
        lat_deg: Latitude of the centre.
        lon_deg: Longitude of the centre.
        radius_km: Great-circle radius, at most half of the Earth's circumference.
    """
    lat = np.radians(np.clip(lat_deg, -89.999, 89.999))  # at a pole itself every bearing is the same
    angle = radius_km / EARTH_RADIUS_KM
    bearing = np.linspace(0, 2 * np.pi, _STEPS)
    height = np.sin(lat) * np.cos(angle) + np.cos(lat) * np.sin(angle) * np.cos(bearing)
    ring_lat = np.arcsin(height.clip(-1, 1))
    east = np.sin(bearing) * np.sin(angle) * np.cos(lat)
    ring_lon = np.unwrap(np.arctan2(east, np.cos(angle) - np.sin(lat) * np.sin(ring_lat)))
    return np.column_stack([np.degrees(ring_lat), lon_deg + np.degrees(ring_lon)])


def disc(lat_deg: float, lon_deg: float, radius_km: float) -> list[Points]:
    """Rings that bound the inside of `circle`, for filling by the even-odd rule.

    The inside that holds a pole reaches it along all meridians; the inside that holds both is the world with a hole.
    Both are repeated over three worlds, so that a map panned across the date line stays filled.
    """
    ring = circle(lat_deg, lon_deg, radius_km)
    if _goes_round_a_pole(ring):
        if ring[0, 1] > ring[-1, 1]:
            ring = ring[::-1]
        worlds = np.vstack([np.add(ring, [0, turn]) for turn in (-360, 0, 360)])
        pole = np.copysign(90, lat_deg)
        return [np.vstack([worlds, [pole, worlds[-1, 1]], [pole, worlds[0, 1]]])]
    if _holds_both_poles(lat_deg, radius_km):
        opposite = np.subtract(ring, [0, ring[:, 1].mean() - lon_deg])  # the hole, moved to the centre's meridian
        west, east = lon_deg - 720, lon_deg + 720
        world = np.array([[90.0, west], [90.0, east], [-90.0, east], [-90.0, west]])
        return [world, *(np.add(opposite, [0, turn]) for turn in (-540, -180, 180, 540))]
    return [ring]


def disc_bounds(lat_deg: float, lon_deg: float, radius_km: float) -> Points:
    """South-west and north-east corner of the inside of `circle`."""
    ring = circle(lat_deg, lon_deg, radius_km)
    if _holds_both_poles(lat_deg, radius_km):
        return np.array([[-90.0, lon_deg - 180], [90.0, lon_deg + 180]])
    if _goes_round_a_pole(ring):
        pole = np.copysign(90, lat_deg)
        south, north = sorted((pole, float(ring[:, 0].min() if pole > 0 else ring[:, 0].max())))
        return np.array([[south, lon_deg - 180], [north, lon_deg + 180]])
    return np.array([ring.min(axis=0), ring.max(axis=0)])


def great_circle(start: tuple[float, float], end: tuple[float, float], steps: int = 65) -> Points:
    """Points on the shortest way between two places, `(lat_deg, lon_deg)` each (spherical interpolation)."""
    lat, lon = np.radians(np.array([start, end])).T
    a, b = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    angle = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    if np.sin(angle) < 1e-9:  # the same place, or opposite ones: every way is as short
        return np.array([start, (end[0], near_lon_deg(end[1], start[1]))])
    share = np.linspace(0, 1, steps)[:, None]
    x, y, z = ((np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)).T
    lat_deg, lon_deg = np.degrees(np.arcsin(np.clip(z, -1, 1))), np.degrees(np.unwrap(np.arctan2(y, x)))
    return np.column_stack([lat_deg, lon_deg - lon_deg[0] + start[1]])


def _goes_round_a_pole(ring: Points) -> bool:
    return bool(abs(ring[-1, 1] - ring[0, 1]) > 180)


def _holds_both_poles(lat_deg: float, radius_km: float) -> bool:
    return bool(radius_km / EARTH_RADIUS_KM > np.pi / 2 + np.radians(abs(lat_deg)))
