"""Ground of every map, and the pins on it: outlines, tile layers, bounds of one world, pop-ups."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import folium
import xyzservices.providers

from triovision.viz.map_elements import DefaultIcons, Outlines, SafePopup, ScaleBar, StyleSheet
from triovision.viz.map_style import RULES, MapOptions, colours

MAX_ZOOM: Final = 18
OUTLINES_ZOOM: Final = 6
"""Closest zoom at which the outlines still show where in the world a point lies; closer, there may be none in view."""
LANDMARK_ZOOM: Final = 7
"""Zoom of a recognised landmark: some 500 km from top to bottom, with coasts and borders around nearly every one."""
# All tiles are from Esri: OpenStreetMap answers 403 to a page without a Referer, and Carto requires a key.
_ESRI: Final = xyzservices.providers.Esri  # Folium takes 4 ms to find a provider by its name
_DISC: Final = '<circle cx="17" cy="17" r="6" fill="#fff"/>'
_PIN: Final = (
    '<svg class="pin" width="34" height="46" viewBox="0 0 34 46" aria-hidden="true">'
    '<path d="M17 1C8 1 1 8 1 17c0 11 16 28 16 28s16-17 16-28C33 8 26 1 17 1Z" fill="{colour}" stroke="#fff" '
    'stroke-width="2"/>{sign}</svg>'
)


def ground_map(lat_deg: float, lon_deg: float, options: MapOptions, zoom: int = 5) -> tuple[folium.Map, Outlines]:
    """A map of outlines around a centre, without tiles and controls."""
    plot = folium.Map(
        location=(lat_deg, lon_deg),
        tiles=None,
        zoom_start=zoom,
        font_size="12px",
        zoom_control=False,
        minZoom=1,
        maxZoom=MAX_ZOOM,  # the clusters need it, and without tiles no layer sets it
        max_bounds=True,
        min_lon=lon_deg - 180,
        max_lon=lon_deg + 180,
        maxBoundsViscosity=1,
        zoomSnap=0.25,  # so that the smallest zoom fills the frame with the world, whatever its width
    )
    ground = colours(options.theme)
    StyleSheet(options.font_faces + RULES, ground).add_to(plot)
    ScaleBar(imperial=options.language == "en").add_to(plot)
    DefaultIcons(options.source.url("leaflet", "dist/images/")).add_to(plot)
    outlines = Outlines(options.outlines, options.outlines_url, ground["border"], ground["land"])
    outlines.add_to(plot)
    return plot, outlines


def add_base_layers(plot: folium.Map, options: MapOptions) -> list[folium.TileLayer]:
    """Add outlines, shown at first, and the layers of tiles, and return these."""
    layers = (
        (options.translate("Streets"), _ESRI.WorldStreetMap, 18, "streets"),
        (options.translate("Satellite"), _ESRI.WorldImagery, 17, "satellite"),
        (options.translate("Terrain"), _ESRI.WorldTopoMap, 17, "terrain"),
        (options.translate("Ocean"), _ESRI.OceanBasemap, 10, "ocean"),  # deeper zooms are empty over most seas
    )
    # A request for tiles reveals the region to the server: none is sent until the reader chooses such a layer.
    outlines_only = _with_preview(options.translate("Outlines only"), "outlines")
    folium.FeatureGroup(outlines_only, overlay=False).add_to(plot)
    tiles = [
        folium.TileLayer(
            provider,
            name=_with_preview(name, class_name),
            show=False,
            max_zoom=MAX_ZOOM,
            max_native_zoom=sharpest,
            class_name=class_name,
        )
        for name, provider, sharpest, class_name in layers
    ]
    for layer in tiles:
        layer.add_to(plot)
    return tiles


def _with_preview(name: str, layer: str) -> str:
    """Name of a layer with a small drawing of it; the style rules hold the drawings."""
    return f'<i class="preview preview-{layer}"></i>{escape(name)}'


def pin(
    location: Sequence[float], *, colour: str, title: str, html: str, class_name: str, sign: str = _DISC
) -> folium.Marker:
    """A pin with a pop-up.

    Args:
        location: Latitude and longitude in degrees.
        colour: CSS colour.
        title: Text of the tooltip and of screen readers.
        html: Content of the pop-up, in which untrusted text is already escaped.
        class_name: CSS class.
        sign: SVG on the pin, within 34 by 46 px.
    """
    icon = folium.DivIcon(
        _PIN.format(colour=colour, sign=sign),
        icon_size=(34, 46),
        icon_anchor=(17, 45),
        popup_anchor=(0, -40),
        class_name=class_name,
    )
    marker = folium.Marker(location, icon=icon, title=title, zIndexOffset=1000)
    SafePopup(html).add_to(marker)
    return marker


def popup_html(name: str, *lines: str, title: str = "") -> str:
    """Content of a pop-up: title, name in bold, lines. All are escaped."""
    head = f"{escape(title)}<br>" if title else ""
    return f"{head}<strong>{escape(name)}</strong>" + "".join(f"<br>{escape(line)}" for line in lines)
