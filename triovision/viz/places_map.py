"""Folium map of several named places, with a legend and the great circles between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import folium
import numpy as np

from triovision.viz.map_controls import add_controls
from triovision.viz.map_elements import Legend, ZoomButtons
from triovision.viz.map_geometry import great_circle, near_lon_deg
from triovision.viz.map_ground import OUTLINES_ZOOM, add_base_layers, ground_map, pin, popup_html
from triovision.viz.map_style import CAMERA_COLOUR, MapOptions
from triovision.viz.map_view import FitUntilTouched, OneWorld

#: Colours of the pins: white signs are readable on each, in both themes and for colour-blind readers.
PIN_COLOURS: Final = ("#0b6b6e", "#b4531a", "#5a4fa3", "#8a6d00", "#a3336f", "#3d6b2f")
_SIGN: Final = (
    '<text x="17" y="22" text-anchor="middle" fill="#fff" font-size="15" font-weight="700" '
    'font-family="system-ui, sans-serif">{sign}</text>'
)
_MERCATOR_DEG: Final = 85.0511


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPlace:
    """A place with a pin.

    Attributes:
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.
        sign: Letter or digit on the pin.
        title: Name in the legend, such as a model; may be untrusted.
        name: Name of the place.
        lines: Further lines of the pop-up.
        colour: CSS colour.
    """

    lat_deg: float
    lon_deg: float
    sign: str
    title: str
    name: str
    lines: tuple[str, ...] = ()
    colour: str = PIN_COLOURS[0]


def places_map(places: Sequence[MarkedPlace], options: MapOptions, lines_from: int | None = None) -> folium.Map:
    """Draw places with a legend.

    The same arguments give the same script, except for object ids.

    Args:
        places: At least one place; the map is centred on the first.
        options: Language, colours and addresses of the scripts.
        lines_from: Number of the place from which a great circle runs to each other; None for no lines.
    """
    lon0_deg = places[0].lon_deg
    plot, outlines = ground_map(places[0].lat_deg, lon0_deg, options)
    tiles = add_base_layers(plot, options)
    corners: list[list[float]] = []
    for number, place in enumerate(places):
        location = [place.lat_deg, near_lon_deg(place.lon_deg, lon0_deg)]
        if lines_from not in (None, number):
            start = places[lines_from or 0]
            line = great_circle((start.lat_deg, near_lon_deg(start.lon_deg, lon0_deg)), (location[0], location[1]))
            folium.PolyLine(line.tolist(), color=place.colour, weight=3, interactive=False).add_to(plot)
            corners += line.tolist()
            location = line[-1].tolist()  # beyond the date line, where the line ends
        corners.append(location)
        _pin(place, location).add_to(plot)
    add_controls(plot, outlines, tiles, options, overview=False)  # the pins would lie below it
    Legend([(place.colour, place.sign, place.title) for place in places]).add_to(plot)
    OneWorld(lon0_deg).add_to(plot)
    bounds = np.array(corners)
    bounds[:, 0] = bounds[:, 0].clip(-_MERCATOR_DEG, _MERCATOR_DEG)
    FitUntilTouched(
        [bounds.min(axis=0).tolist(), bounds.max(axis=0).tolist()],
        padding_top_left=(64, 140 + 20 * len(places)),  # beside the tools and below the legend, on a phone too
        padding_bottom_right=(32, 32),
        max_zoom=OUTLINES_ZOOM if len(places) == 1 else 9,
    ).add_to(plot)
    return plot


def click_map(options: MapOptions) -> folium.Map:
    """A map of the world to click on: outlines and zoom, without tools."""
    plot, _ = ground_map(20.0, 0.0, options, zoom=1)
    options.source.equip(plot, "leaflet", options.language)
    ZoomButtons(options.translate("Zoom in"), options.translate("Zoom out")).add_to(plot)
    OneWorld(0.0).add_to(plot)
    return plot


def chosen_pin(lat_deg: float, lon_deg: float) -> folium.FeatureGroup:
    """Pin of the reader's choice, to be put on a `click_map` without drawing the map again."""
    group = folium.FeatureGroup("chosen")
    folium.CircleMarker(
        (lat_deg, lon_deg), radius=9, color="#fff", weight=3, fill=True, fill_color=CAMERA_COLOUR, fill_opacity=1
    ).add_to(group)
    return group


def _pin(place: MarkedPlace, location: Sequence[float]) -> folium.Marker:
    return pin(
        location,
        colour=place.colour,
        title=f"{place.title}: {place.name}",
        html=popup_html(place.name, *place.lines, title=place.title),
        class_name="sure",
        sign=_SIGN.format(sign=escape(place.sign)),
    )
