"""What a reader draws on the map, as values."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from triovision.errors import EvidenceError
from triovision.geo import Box

_FULL_TURN = 360


def drawn_box(drawings: Sequence[Any] | None) -> Box | None:
    """The last of the drawings, if it is a rectangle.

    Longitudes on the map run on beyond ±180°, and latitudes to where it ends.

    Args:
        drawings: GeoJSON features as the browser sends them: nothing in them is taken for granted.

    Returns:
        The box, or None for any other drawing or none at all.
    """
    try:
        (ring,) = (drawings or ())[-1]["geometry"]["coordinates"]
        lon_deg, lat_deg = ({float(point[axis]) for point in ring} for axis in (0, 1))
        (west, east), (south, north) = sorted(lon_deg), sorted(lat_deg)
        if not all(map(isfinite, (west, east, south, north))):
            return None
        all_round = east - west >= _FULL_TURN
        return Box(
            south_deg=max(-90.0, south),
            north_deg=min(90.0, north),
            west_deg=-180.0 if all_round else _wrapped(west),
            east_deg=180.0 if all_round else _wrapped(east),
        )
    except (LookupError, TypeError, ValueError, EvidenceError):
        return None


def _wrapped(lon_deg: float) -> float:
    return (lon_deg + 180) % _FULL_TURN - 180
