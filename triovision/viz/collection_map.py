"""Folium map of a collection: a marker for each photo, in clusters that show their photos."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import folium
from folium.elements import JSCSSMixin
from folium.plugins import FastMarkerCluster, Fullscreen

from triovision.viz.map_elements import ClusterPhotos, StyleSheet, TileNotice, ZoomButtons
from triovision.viz.map_ground import add_base_layers, ground_map
from triovision.viz.map_style import MapOptions
from triovision.viz.map_view import FitUntilTouched, OneWorld

_DEFAULT_OPTIONS: Final = MapOptions()
_MARKER: Final = """function (row) {
    var icon = L.divIcon({className: "dot " + row[4], iconSize: [18, 18], popupAnchor: [0, -9]});
    return L.marker([row[0], row[1]], {icon: icon, title: row[3], photo: row[2]}).bindPopup(row[2]);
}"""
_CLUSTER: Final = """function (cluster) {
    return L.divIcon({html: String(cluster.getChildCount()), className: "cluster", iconSize: [46, 46]});
}"""
_PHOTO_RULES: Final = """
.photos { display: flex; flex-wrap: wrap; gap: 8px; max-height: 260px; overflow-y: auto; width: 280px; }
.photos figure { margin: 0; width: 84px; font-size: 11px; line-height: 1.3; }
.photos img, .leaflet-popup-content figure img { max-width: 100%; border-radius: 4px; display: block; }
.leaflet-popup-content figure { margin: 0; }
.dot.unsure { opacity: .55; }
"""


@dataclass(frozen=True, slots=True)
class MapPhoto:
    """A photo on the map.

    Attributes:
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.
        name: Name of the photo, untrusted.
        line: What is known of its place.
        thumbnail_jpeg: Small JPEG.
        sure: False draws the marker faintly.
    """

    lat_deg: float
    lon_deg: float
    name: str
    line: str
    thumbnail_jpeg: bytes
    sure: bool


def collection_map(photos: Sequence[MapPhoto], options: MapOptions = _DEFAULT_OPTIONS) -> folium.Map:
    """Draw the photos of a collection.

    A click on a marker shows its photo, a click on a cluster the photos in it. The same photos give the same script,
    except for object ids, so that a page which draws the map again keeps the state that the reader left it in.

    Args:
        photos: The photos, at least one.
        options: Language, colours and addresses of the scripts.
    """
    south, north = (edge(photo.lat_deg for photo in photos) for edge in (min, max))
    west, east = (edge(photo.lon_deg for photo in photos) for edge in (min, max))
    plot, _ = ground_map((south + north) / 2, (west + east) / 2, options)
    StyleSheet(_PHOTO_RULES, {}).add_to(plot)
    tiles = add_base_layers(plot, options)
    rows = [_row(photo) for photo in photos]
    cluster = FastMarkerCluster(
        rows,
        callback=_MARKER,
        name=options.translate("Photos"),
        icon_create_function=_CLUSTER,
        maxClusterRadius=46,
        showCoverageOnHover=False,
        zoomToBoundsOnClick=False,
        spiderfyOnMaxZoom=False,
    )
    options.source.equip(cluster, "leaflet.markercluster", options.language)
    cluster.add_to(plot)
    ClusterPhotos(options.translate("and {count} more: zoom in to see them", count="{count}")).add_to(cluster)
    options.source.equip(plot, "leaflet", options.language)
    ZoomButtons(options.translate("Zoom in"), options.translate("Zoom out")).add_to(plot)
    screen: JSCSSMixin = Fullscreen(
        title=options.translate("Full screen"), title_cancel=options.translate("Leave full screen")
    )
    options.source.equip(screen, "leaflet.fullscreen", options.language)
    screen.add_to(plot)
    folium.LayerControl().add_to(plot)
    TileNotice(tiles, options.translate("Map tiles are not available: only country outlines are shown")).add_to(plot)
    OneWorld((west + east) / 2).add_to(plot)
    FitUntilTouched([[south, west], [north, east]], padding=(32, 32), max_zoom=9).add_to(plot)
    return plot


def _row(photo: MapPhoto) -> tuple[float, float, str, str, str]:
    address = "data:image/jpeg;base64," + b64encode(photo.thumbnail_jpeg).decode("ascii")
    caption = f"<strong>{escape(photo.name)}</strong><br>{escape(photo.line)}"
    html = f'<figure><img src="{address}" alt=""><figcaption>{caption}</figcaption></figure>'
    return photo.lat_deg, photo.lon_deg, html, f"{photo.name}: {photo.line}", "" if photo.sure else "unsure"
