"""Country outlines for the map: TopoJSON of the npm package `world-atlas` decoded to GeoJSON.

TopoJSON stores each border once, as an arc of differences between integers. A ring is a list of arc numbers; the one's
complement of a number is the reversed arc (https://github.com/topojson/topojson-specification).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triovision.bundle import NODE_MODULES
from triovision.files import atomic_write, cache_folder
from triovision.geo.countries import country_of_number

TOLERANCE_DEG: Final = 0.05
"""Largest error of an outline: 5 km, one or two pixels at the zoom of a country."""

NO_OUTLINES: Final = '{"type":"MultiPolygon","coordinates":[]}'

_FILE: Final = NODE_MODULES / "world-atlas" / "countries-50m.json"

_FloatArray = NDArray[np.float64]


def country_outlines() -> str:
    """Countries as GeoJSON text, decoded once for the whole process; none if the npm package is not installed."""
    return read_outlines(_FILE) if _FILE.is_file() else NO_OUTLINES


def outlines_file() -> Path | None:
    """File of the countries as GeoJSON in the user's cache, written by the first call on a machine.

    Its name changes with the countries and with this module, so a browser may cache it for good.

    Returns:
        The file; None if the npm package is not installed or the cache cannot be written.
    """
    if not _FILE.is_file():
        return None
    path = cache_folder() / "outlines" / _file_name()
    if not path.is_file():
        try:
            atomic_write(path, read_outlines(_FILE))
        except OSError:
            return None
    return path


@cache
def _file_name() -> str:
    return hashlib.sha256(_FILE.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16] + ".json"


@cache
def read_outlines(path: Path) -> str:
    """Decode the countries of a TopoJSON file.

    Arcs are simplified before they are joined to rings, so that neighbours still share their border. A ring that
    crosses the date line continues beyond ±180°, so that no line crosses the map; a ring around the Earth is closed
    over its pole.

    Args:
        path: `world-atlas/countries-50m.json` or its like: quantised TopoJSON with an object `countries`.

    Returns:
        GeoJSON text of one `MultiPolygon`, `[lon, lat]` in degrees with two decimals.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is another kind of file.
    """
    topology = json.loads(path.read_bytes())
    try:
        arcs = [_simplify(arc) for arc in _decode_arcs(topology)]
        polygons = [[_ring(arcs, ring) for ring in polygon] for polygon in _polygons(topology)]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{path}: not a quantised TopoJSON file of countries ({error!r})") from error
    coordinates = [[np.round(ring, 2).tolist() for ring in polygon] for polygon in polygons]
    return json.dumps({"type": "MultiPolygon", "coordinates": coordinates}, separators=(",", ":"))


@cache
def read_country_outlines(path: Path) -> dict[str, list[list[list[float]]]]:
    """Decode the outer ring of each polygon of each country, for a map of the whole Earth.

    Args:
        path: `world-atlas/countries-110m.json` or its like.

    Returns:
        Rings of `[lon, lat]` in degrees by ISO 3166-1 alpha-2 code; areas without a code have the key `""`.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is another kind of file.
    """
    topology = json.loads(path.read_bytes())
    outlines: dict[str, list[list[list[float]]]] = {}
    try:
        arcs = [_simplify(arc) for arc in _decode_arcs(topology)]
        for geometry in topology["objects"]["countries"]["geometries"]:
            polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
            rings = [np.round(_ring(arcs, polygon[0]), 2).tolist() for polygon in polygons]
            named_kosovo = geometry.get("properties", {}).get("name") == "Kosovo"  # which has no number in ISO 3166-1
            code = "XK" if named_kosovo else country_of_number(str(geometry.get("id", "")))
            outlines.setdefault(code, []).extend(rings)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{path}: not a quantised TopoJSON file of countries ({error!r})") from error
    return outlines


def _decode_arcs(topology: dict[str, Any]) -> list[_FloatArray]:
    transform = topology["transform"]
    scale, translate = np.array(transform["scale"]), np.array(transform["translate"])
    arcs = [np.cumsum(np.array(arc, np.int64), axis=0) * scale + translate for arc in topology["arcs"]]
    return [np.column_stack([np.unwrap(lon, period=360), lat]) for lon, lat in (arc.T for arc in arcs)]


def _polygons(topology: dict[str, Any]) -> Iterator[list[list[int]]]:
    for geometry in topology["objects"]["countries"]["geometries"]:
        if geometry["type"] == "Polygon":
            yield geometry["arcs"]
        elif geometry["type"] == "MultiPolygon":
            yield from geometry["arcs"]


def _ring(arcs: list[_FloatArray], numbers: list[int]) -> _FloatArray:
    pieces = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
    lon, lat = np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])]).T
    lon = np.unwrap(lon, period=360)
    ring = np.column_stack([lon, lat])
    if abs(lon[-1] - lon[0]) < 180:
        return ring
    pole = np.copysign(90.0, lat.mean())
    return np.vstack([ring, [lon[-1], pole], [lon[0], pole], ring[:1]])


def _simplify(arc_xy: _FloatArray) -> _FloatArray:
    """Remove points within the tolerance of the line without them (Douglas and Peucker, 1973)."""
    keep = np.zeros(len(arc_xy), bool)
    keep[[0, -1]] = True
    spans = [(0, len(arc_xy) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        off = _distance_to_chord(arc_xy[first + 1 : last], arc_xy[first], arc_xy[last])
        if off.max() > TOLERANCE_DEG:
            farthest = first + 1 + int(off.argmax())
            keep[farthest] = True
            spans += [(first, farthest), (farthest, last)]
    # An islet would collapse to a line, and it may be the predicted place.
    return arc_xy[keep] if keep.sum() > 3 else arc_xy


def _distance_to_chord(points: _FloatArray, start: _FloatArray, end: _FloatArray) -> _FloatArray:
    dx, dy = end - start
    x, y = (points - start).T
    length = np.hypot(dx, dy)
    distance: _FloatArray = np.abs(x * dy - y * dx) / length if length > 0 else np.hypot(x, y)
    return distance
