"""Map of a prediction as one SVG picture, drawn without tiles, scripts or a network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from triovision.bundle import NODE_MODULES
from triovision.geo.coast import coast_deg
from triovision.results import Prediction
from triovision.viz.map_geometry import density_cells, disc, disc_bounds, near_lon_deg
from triovision.viz.outlines import read_outlines

WIDTH, HEIGHT = 720, 440
_OUTLINES: Final = NODE_MODULES / "world-atlas" / "countries-50m.json"
_LEAST_SPAN_DEG: Final = 10.0  # a smaller window shows no outline that a reader could recognise
_STEPS_DEG: Final = (1, 2, 5, 10, 15, 30, 45)
_EARTH_CIRCUMFERENCE_KM: Final = 40_030.0

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Part of the Earth in the picture: an equirectangular projection, true to scale at its middle.

    Attributes:
        lat_deg: Latitude of the middle.
        lon_deg: Longitude of the middle.
        px_a_degree: Pixels of a degree of latitude.
    """

    lat_deg: float
    lon_deg: float
    px_a_degree: float

    def xy(self, lat_deg: _Floats, lon_deg: _Floats) -> _Floats:
        """Pixels of positions, shape `(n, 2)`; longitudes are not wrapped."""
        x = WIDTH / 2 + (lon_deg - self.lon_deg) * self.px_a_degree * self._squeeze
        y = HEIGHT / 2 - (lat_deg - self.lat_deg) * self.px_a_degree
        return np.column_stack([x, y])

    @property
    def half_width_deg(self) -> float:
        """Degrees of longitude from the middle to an edge."""
        return WIDTH / 2 / (self.px_a_degree * self._squeeze)

    @property
    def half_height_deg(self) -> float:
        """Degrees of latitude from the middle to an edge."""
        return HEIGHT / 2 / self.px_a_degree

    @property
    def _squeeze(self) -> float:
        return float(np.cos(np.radians(np.clip(self.lat_deg, -75, 75))))


def window_around(points: _Floats) -> Window:
    """The window that holds points with a margin, and at most the whole Earth.

    Args:
        points: Latitude and longitude in degrees, shape `(n, 2)`, n at least 1; longitudes near each other.
    """
    (south, west), (north, east) = points.min(axis=0), points.max(axis=0)
    lat, lon = float(south + north) / 2, float(west + east) / 2
    squeeze = float(np.cos(np.radians(np.clip(lat, -75, 75))))
    height = max(_LEAST_SPAN_DEG, 1.25 * (north - south))
    width = max(_LEAST_SPAN_DEG, 1.25 * (east - west)) * squeeze
    scale = float(min(HEIGHT / height, WIDTH / width))
    world = WIDTH / 360
    if scale <= 1.3 * world:  # a little more than half of the Earth: show all of it
        return Window(lat_deg=0.0, lon_deg=lon, px_a_degree=world)
    return Window(lat_deg=lat, lon_deg=lon, px_a_degree=scale)


def shows_density(prediction: Prediction) -> bool:
    """Whether the map shades the density: not where the area is far smaller than its cells, which are 200 km wide."""
    return prediction.area.kind not in ("landmark", "place")


def map_picture(
    prediction: Prediction, camera: tuple[float, float] | None, labels: tuple[str, str], description: str
) -> Markup:
    """Draw the place, its radii, the density, the other places, and the camera's position if it is given.

    Args:
        prediction: The prediction.
        camera: Latitude and longitude that the camera wrote; None to leave them out.
        labels: Words beside the mark of the place and that of the camera.
        description: Text alternative of the picture.

    Returns:
        An `<svg>` element; its colours are those of the style sheet around it.
    """
    place = prediction.landmark or prediction.place
    radii = sorted({min(r, 20_000.0) for r in (prediction.radius_km, prediction.radius_90_km)}, reverse=True)
    window = window_around(_shown(prediction, camera))
    parts = [
        f'<rect class="sea" width="{WIDTH}" height="{HEIGHT}"/>',
        _land(window),
        _graticule(window),
        "".join(_density(prediction, window)) if shows_density(prediction) else "",
        *(_disc(place.lat_deg, place.lon_deg, radius, window) for radius in radii),
        *(_dot(other.lat_deg, other.lon_deg, window) for other in prediction.places[1:6]),
        "" if camera is None else _mark(*camera, labels[1], "camera", window),
        _mark(place.lat_deg, place.lon_deg, labels[0], "place", window),
        _scale_bar(window),
    ]
    return Markup(  # noqa: S704 - numbers of ours; the texts are escaped
        f'<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">'
        f"{''.join(parts)}</svg>"
    )


def _shown(prediction: Prediction, camera: tuple[float, float] | None) -> _Floats:
    """Points that the picture must hold."""
    place = prediction.landmark or prediction.place
    bounds = disc_bounds(place.lat_deg, place.lon_deg, min(prediction.radius_90_km, 20_000.0))
    if camera is None:
        return bounds
    return np.vstack([bounds, [camera[0], near_lon_deg(camera[1], place.lon_deg)]])


@cache
def _rings(path: Path) -> tuple[_Floats, ...]:
    polygons = json.loads(read_outlines(path))["coordinates"]
    return tuple(np.array(ring, np.float64) for polygon in polygons for ring in polygon)


def _land(window: Window) -> str:
    if not _OUTLINES.is_file():
        return _coast(window)
    paths = []
    for ring in _rings(_OUTLINES):
        for turn in (-360, 0, 360):
            lon, lat = ring[:, 0] + turn, ring[:, 1]
            if not _overlaps(lat, lon, window):
                continue
            paths.append(_path(window.xy(lat, lon), closed=True))
    return f'<path class="land" d="{"".join(paths)}"/>'


def _coast(window: Window) -> str:
    """Coasts as dots, where the outlines of countries are not installed."""
    points = coast_deg()
    lon = window.lon_deg + (points[:, 1] - window.lon_deg + 180) % 360 - 180
    xy = np.unique(np.rint(window.xy(points[:, 0], lon)).astype(np.int64), axis=0)
    xy = xy[((xy >= 0) & (xy <= [WIDTH, HEIGHT])).all(axis=1)]
    return f'<path class="coast" d="{"".join(f"M{x} {y}h1" for x, y in xy.tolist())}"/>'


def _overlaps(lat: _Floats, lon: _Floats, window: Window) -> bool:
    return bool(
        lon.max() >= window.lon_deg - window.half_width_deg
        and lon.min() <= window.lon_deg + window.half_width_deg
        and lat.max() >= window.lat_deg - window.half_height_deg
        and lat.min() <= window.lat_deg + window.half_height_deg
    )


def _path(xy: _Floats, *, closed: bool) -> str:
    """SVG commands of a line; points within half a pixel of the one before are left out."""
    # Far outside, the exact course does not matter, and huge numbers would only make the file larger.
    rounded = np.round(xy.clip(-WIDTH, 2 * WIDTH) * 2) / 2
    kept = np.ones(len(rounded), np.bool_)
    kept[1:] = (rounded[1:] != rounded[:-1]).any(axis=1)
    points = " ".join(f"{x:g},{y:g}" for x, y in rounded[kept].tolist())
    return f"M{points}{'Z' if closed else ''}"


def _graticule(window: Window) -> str:
    span = 2 * max(window.half_width_deg, window.half_height_deg)
    step = next((step for step in _STEPS_DEG if span / step <= 9), 60)
    parts = []
    for lon in _multiples(window.lon_deg, window.half_width_deg, step):
        x = float(window.xy(np.zeros(1), np.array([lon]))[0, 0])
        wrapped = (lon + 180) % 360 - 180
        name = f"{abs(wrapped):g}°{'' if wrapped in (0, -180) else 'W' if wrapped < 0 else 'E'}"
        parts.append(
            f'<path class="grid" d="M{x:.1f} 0V{HEIGHT}"/><text class="degrees" x="{x + 3:.1f}" y="12">{name}</text>'
        )
    for lat in _multiples(window.lat_deg, window.half_height_deg, step):
        if abs(lat) > 90:
            continue
        y = float(window.xy(np.array([lat]), np.zeros(1))[0, 1])
        name = f"{abs(lat):g}°{'' if lat == 0 else 'S' if lat < 0 else 'N'}"
        parts.append(
            f'<path class="grid" d="M0 {y:.1f}H{WIDTH}"/><text class="degrees" x="3" y="{y - 3:.1f}">{name}</text>'
        )
    return "".join(parts)


def _multiples(middle: float, half: float, step: int) -> Sequence[float]:
    first, last = int(np.ceil((middle - half) / step)), int(np.floor((middle + half) / step))
    return [float(n * step) for n in range(first, last + 1)]


def _density(prediction: Prediction, window: Window) -> Iterator[str]:
    for south, west, north, east, alpha in density_cells(prediction.posterior.density(), window.lon_deg):
        (left, top), (right, bottom) = window.xy(np.array([north, south]), np.array([west, east])).tolist()
        if right > 0 and left < WIDTH and bottom > 0 and top < HEIGHT:
            yield (
                f'<rect class="density" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
                f'height="{bottom - top:.1f}" fill-opacity="{alpha:.2f}"/>'
            )


def _disc(lat_deg: float, lon_deg: float, radius_km: float, window: Window) -> str:
    lon = near_lon_deg(lon_deg, window.lon_deg)
    rings = [_path(window.xy(ring[:, 0], ring[:, 1]), closed=True) for ring in disc(lat_deg, lon, radius_km)]
    return f'<path class="radius" fill-rule="evenodd" d="{"".join(rings)}"/>'


def _at(lat_deg: float, lon_deg: float, window: Window) -> tuple[float, float]:
    x, y = window.xy(np.array([lat_deg]), np.array([near_lon_deg(lon_deg, window.lon_deg)]))[0].tolist()
    return x, y


def _dot(lat_deg: float, lon_deg: float, window: Window) -> str:
    x, y = _at(lat_deg, lon_deg, window)
    return f'<circle class="other" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def _mark(lat_deg: float, lon_deg: float, label: str, kind: str, window: Window) -> str:
    """A disc for the place and a square for the camera, so that they differ without colour too."""
    x, y = _at(lat_deg, lon_deg, window)
    shape = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
        if kind == "place"
        else f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12"/>'
    )
    left = x > WIDTH * 0.6
    below = 22 if kind == "camera" else -12
    text = (
        f'<text x="{x + (-12 if left else 12):.1f}" y="{y + below:.1f}" '
        f'text-anchor="{"end" if left else "start"}">{escape(label)}</text>'
    )
    return f'<g class="{kind}">{shape}{text}</g>'


def _scale_bar(window: Window) -> str:
    km_a_px = _EARTH_CIRCUMFERENCE_KM / 360 / window.px_a_degree
    if window.half_width_deg > 60:  # the scale of a world map differs from place to place
        return ""
    length = next(step for step in (5000, 2000, 1000, 500, 200, 100, 50, 20, 10) if step / km_a_px <= 160)
    x, y, width = 16, HEIGHT - 16, length / km_a_px
    bar = f'<path class="scale" d="M{x} {y - 6}V{y}H{x + width:.1f}V{y - 6}"/>'
    return f'{bar}<text x="{x}" y="{y - 10}">{length} km</text>'
