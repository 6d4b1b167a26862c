"""The map of a prediction: values in, a Folium map out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Final

import folium
import numpy as np
from babel.numbers import format_decimal
from folium.elements import JSCSSMixin
from folium.plugins import Draw, FastMarkerCluster, Fullscreen, MeasureControl

from triovision.geo import country_name, distance_km
from triovision.guesses import PlaceGuess
from triovision.results import CameraFacts, Prediction
from triovision.viz.cells import box_corners, shading
from triovision.viz.figures import percent
from triovision.viz.geodesics import disc, disc_bounds, great_circle, near_lon_deg
from triovision.viz.leaflet import PUBLIC_CDN, LeafletSource
from triovision.viz.map_elements import (
    DrawingWords,
    FitUntilTouched,
    OutlineMiniMap,
    Outlines,
    SafePopup,
    ShadedCells,
    StyleSheet,
    TileNotice,
    ZoomButtons,
)
from triovision.viz.map_style import CAMERA_COLOUR, RULES, Theme, colours
from triovision.viz.map_words import DRAWING_WORDS
from triovision.viz.outlines import NO_OUTLINES

MAX_ZOOM: Final = 18
_LIKELY: Final = 0.8
"""The first view holds the alternatives that make up this much of the probability; the rest is a zoom away."""
_MERCATOR_DEG: Final = 85.0511
"""Latitude at which a Web Mercator map ends (EPSG:3857)."""
_PIN: Final = (
    '<svg class="pin" width="34" height="46" viewBox="0 0 34 46" aria-hidden="true">'
    '<path d="M17 1C8 1 1 8 1 17c0 11 16 28 16 28s16-17 16-28C33 8 26 1 17 1Z" fill="{colour}" stroke="#fff" '
    'stroke-width="2"/><circle cx="17" cy="17" r="6" fill="#fff"/></svg>'
)


_UNITS: Final = {
    "km": {"factor": 1e-3, "display": "km", "decimals": 1},
    "km2": {"factor": 1e-6, "display": "km²", "decimals": 1},
}
_ALTERNATIVE: Final = """function (row) {
    var icon = L.divIcon({className: "dot", iconSize: [18, 18], popupAnchor: [0, -9]});
    return L.marker([row[0], row[1]], {icon: icon, title: row[3], probability: row[4]}).bindPopup(row[2]);
}"""
_CLUSTER: Final = """function (cluster) {
    var share = cluster.getAllChildMarkers().reduce(function (sum, marker) {
        return sum + marker.options.probability;
    }, 0);
    var text = share.toLocaleString("LANGUAGE", {style: "percent", maximumSignificantDigits: 2});
    return L.divIcon({html: text, className: "share", iconSize: [46, 46]});
}"""


def english(msgid: str, /, **values: object) -> str:
    """The texts as they are written in the code."""
    return msgid.format(**values)


@dataclass(frozen=True, slots=True)
class MapLook:
    """How a map speaks and looks, the same for all predictions of one reader.

    Attributes:
        language: Language of country names and numbers.
        translate: Gives the text for an English one, with `{name}` replaced by keyword arguments.
        theme: Colours to go with the page.
        source: Where the browser loads Leaflet from.
        outlines: Countries as GeoJSON text, from `read_outlines`.
    """

    language: str = "en"
    translate: Callable[..., str] = english
    theme: Theme = "light"
    source: LeafletSource = PUBLIC_CDN
    outlines: str = NO_OUTLINES


def prediction_map(prediction: Prediction, camera: CameraFacts | None = None, look: MapLook = MapLook()) -> folium.Map:
    """Draw where a photo was probably taken.

    The predicted place with the radius that holds half of the probability, the other places in clusters labelled with
    their joint probability, and the camera's own position with the distance to it. The same arguments give the same
    script, object ids aside, so that a page which draws it again keeps the map as the reader left it.

    Args:
        prediction: What to draw.
        camera: What the camera wrote; its position is drawn if there is one.
        look: Language, colours and where scripts come from.
    """
    place = prediction.place
    plot = folium.Map(
        location=(place.lat_deg, place.lon_deg),
        tiles=None,
        zoom_start=5,
        font_size="12px",
        control_scale=True,
        zoom_control=False,
        minZoom=1,
        maxZoom=MAX_ZOOM,  # without tiles nothing else says it, and clusters need to know
        max_bounds=True,
        min_lon=place.lon_deg - 270,
        max_lon=place.lon_deg + 270,
        maxBoundsViscosity=0.8,
    )
    ground = colours(look.theme)
    StyleSheet(RULES, ground).add_to(plot)
    outlines = Outlines(look.outlines, line_colour=ground["border"], fill_colour=ground["land"])
    outlines.add_to(plot)
    tiles = _add_base_layers(plot, look)
    _add_density(plot, prediction, look)
    _add_radius(plot, prediction, look)
    _add_alternatives(plot, prediction, look)
    _add_place(plot, prediction, look)
    position = camera.position if camera else None
    if position:
        _add_camera(plot, position, place, look)
    _add_controls(plot, outlines, tiles, look)
    FitUntilTouched(_bounds(prediction, position), padding=(24, 24), max_zoom=11).add_to(plot)
    return plot


def _add_base_layers(plot: folium.Map, look: MapLook) -> list[folium.TileLayer]:
    # All from Esri: OpenStreetMap answers 403 to a page that sends no Referer, and Carto asks for a key.
    layers = (
        (look.translate("Streets"), "Esri.WorldStreetMap", 18, "streets"),
        (look.translate("Satellite"), "Esri.WorldImagery", 17, "satellite"),
        (look.translate("Terrain"), "Esri.WorldTopoMap", 17, "terrain"),
        (look.translate("Ocean"), "Esri.OceanBasemap", 10, "ocean"),  # deeper zooms are empty on most seas
    )
    tiles = [
        folium.TileLayer(
            provider, name=name, show=i == 0, max_zoom=MAX_ZOOM, max_native_zoom=sharpest, class_name=class_name
        )
        for i, (name, provider, sharpest, class_name) in enumerate(layers)
    ]
    for layer in tiles:
        layer.add_to(plot)
    # Tiles tell their server which part of the world is looked at: this layer asks nobody.
    folium.FeatureGroup(look.translate("Outlines only"), overlay=False, show=False).add_to(plot)
    return tiles


def _add_density(plot: folium.Map, prediction: Prediction, look: MapLook) -> None:
    """The density, hidden until the reader asks for it, and the box that the reader named."""
    lon_deg, accent = prediction.place.lon_deg, colours(look.theme)["accent"]
    group = folium.FeatureGroup(look.translate("Density of the probability"), show=False).add_to(plot)
    ShadedCells(shading(prediction.posterior.density(), lon_deg), accent).add_to(group)
    if prediction.evidence and prediction.evidence.box:
        corners = box_corners(prediction.evidence.box, lon_deg)
        folium.Rectangle(corners, color=accent, weight=2, fill=False, interactive=False).add_to(plot)


def _add_radius(plot: folium.Map, prediction: Prediction, look: MapLook) -> None:
    place, accent = prediction.place, colours(look.theme)["accent"]
    group = folium.FeatureGroup(look.translate("Radius of half the probability")).add_to(plot)
    rings = disc(place.lat_deg, place.lon_deg, prediction.radius_km)
    folium.Polygon(
        [ring.tolist() for ring in rings],
        color=accent,
        weight=2,
        dash_array="6 6",
        fill=True,
        fill_opacity=0.12,
        interactive=False,
    ).add_to(group)


def _add_alternatives(plot: folium.Map, prediction: Prediction, look: MapLook) -> None:
    rows: list[tuple[float, float, str, str, float]] = []
    for place in _alternatives(prediction):
        share, country = percent(place.probability, look.language), country_name(place.country, look.language)
        lon_deg = near_lon_deg(place.lon_deg, prediction.place.lon_deg)
        title = f"{place.name}, {country}: {share}"
        html = _popup_html(place.name, country, look.translate("Probability: {share}", share=share))
        rows.append((place.lat_deg, lon_deg, html, title, place.probability))
    cluster = FastMarkerCluster(
        rows,
        callback=_ALTERNATIVE,
        name=look.translate("Other places"),
        icon_create_function=_CLUSTER.replace("LANGUAGE", look.language),
        maxClusterRadius=46,
        showCoverageOnHover=False,
    )
    look.source.equip(cluster, "leaflet.markercluster", look.language)
    cluster.add_to(plot)


def _add_place(plot: folium.Map, prediction: Prediction, look: MapLook) -> None:
    place, country = prediction.place, country_name(prediction.place.country, look.language)
    title = look.translate("Best guess, not sure") if prediction.abstained else look.translate("Predicted place")
    share = look.translate("Probability: {share}", share=percent(place.probability, look.language))
    radius = look.translate("Half of the probability lies within {distance}.", distance=_km(prediction.radius_km, look))
    group = folium.FeatureGroup(look.translate("Predicted place"))
    group.add_to(plot)
    _pin(
        (place.lat_deg, place.lon_deg),
        colour=colours(look.theme)["accent"],
        title=f"{title}: {place.name}, {country}",
        html=_popup_html(place.name, country, share, radius, title=title),
        class_name="unsure" if prediction.abstained else "sure",
    ).add_to(group)


def _add_camera(plot: folium.Map, position: tuple[float, float], place: PlaceGuess, look: MapLook) -> None:
    distance = _km(float(distance_km(*position, place.lat_deg, place.lon_deg)), look)
    title = look.translate("Position that the camera wrote")
    away = look.translate("{distance} from the predicted place", distance=distance)
    group = folium.FeatureGroup(title)
    group.add_to(plot)
    line = great_circle((place.lat_deg, place.lon_deg), position)
    folium.PolyLine(line.tolist(), color=CAMERA_COLOUR, weight=3).add_to(group)
    # A label of no size, centred by its style: a permanent tooltip measures itself before the style sheet has come.
    label = folium.DivIcon(f"<span>{escape(distance)}</span>", icon_size=(0, 0), class_name="distance")
    folium.Marker(
        line[len(line) // 2].tolist(), icon=label, interactive=False, keyboard=False, zIndexOffset=500
    ).add_to(group)
    _pin(
        line[-1].tolist(),
        colour=CAMERA_COLOUR,
        title=title,
        html=_popup_html(f"{position[0]:.5f}, {position[1]:.5f}", away, title=title),
        class_name="camera",
    ).add_to(group)


def _pin(location: Sequence[float], *, colour: str, title: str, html: str, class_name: str) -> folium.Marker:
    icon = folium.DivIcon(
        _PIN.format(colour=colour),
        icon_size=(34, 46),
        icon_anchor=(17, 45),
        popup_anchor=(0, -40),
        class_name=class_name,
    )
    marker = folium.Marker(location, icon=icon, title=title, zIndexOffset=1000)
    SafePopup(html).add_to(marker)
    return marker


def _add_controls(plot: folium.Map, outlines: Outlines, tiles: list[folium.TileLayer], look: MapLook) -> None:
    tools: dict[str, JSCSSMixin] = {
        "leaflet.fullscreen": Fullscreen(
            title=look.translate("Full screen"), title_cancel=look.translate("Leave full screen")
        ),
        "leaflet-draw": Draw(show_geometry_on_click=False, draw_options={"circlemarker": False}),
        "leaflet-measure": MeasureControl(
            units=_UNITS,
            primary_length_unit="km",
            secondary_length_unit="",  # the plugin shows none
            primary_area_unit="km2",
            secondary_area_unit="",
            active_color=CAMERA_COLOUR,
            completed_color=CAMERA_COLOUR,
        ),
        "leaflet-minimap": OutlineMiniMap(
            outlines,
            width=120,
            height=90,
            toggle_display=True,
            strings={"hideText": look.translate("Hide the overview"), "showText": look.translate("Show the overview")},
            aiming_rect_options={"color": CAMERA_COLOUR, "weight": 1, "interactive": False},
        ),
    }
    look.source.equip(plot, "leaflet", look.language)
    ZoomButtons(look.translate("Zoom in"), look.translate("Zoom out")).add_to(plot)
    DrawingWords({path: look.translate(text) for path, text in DRAWING_WORDS.items()}).add_to(plot)
    for package, tool in tools.items():
        look.source.equip(tool, package, look.language)
        tool.add_to(plot)
    folium.LayerControl().add_to(plot)
    TileNotice(tiles, look.translate("No map tiles to be had: country outlines only")).add_to(plot)


def _popup_html(name: str, *lines: str, title: str = "") -> str:
    head = f"{escape(title)}<br>" if title else ""
    return f"{head}<strong>{escape(name)}</strong>" + "".join(f"<br>{escape(line)}" for line in lines)


def _km(distance: float, look: MapLook) -> str:
    pattern = "#,##0.0 km" if distance < 10 else "#,##0 km"
    return str(format_decimal(distance, format=pattern, locale=look.language))


def _alternatives(prediction: Prediction) -> list[PlaceGuess]:
    best = (prediction.place.lat_deg, prediction.place.lon_deg)
    return [place for place in prediction.places if (place.lat_deg, place.lon_deg) != best]


def _bounds(prediction: Prediction, position: tuple[float, float] | None) -> list[list[float]]:
    """Corners of what matters: predicted place, radius, likely alternatives and the camera's position."""
    place = prediction.place
    before = accumulate((p.probability for p in prediction.places), initial=0.0)
    likely = [
        (p.lat_deg, p.lon_deg) for p, sum_before in zip(prediction.places, before, strict=False) if sum_before < _LIKELY
    ]
    points = [(lat, near_lon_deg(lon, place.lon_deg)) for lat, lon in (*likely, *([position] if position else ()))]
    corners = np.vstack([disc_bounds(place.lat_deg, place.lon_deg, prediction.radius_km), *points])
    corners[:, 0] = corners[:, 0].clip(-_MERCATOR_DEG, _MERCATOR_DEG)
    return [corners.min(axis=0).tolist(), corners.max(axis=0).tolist()]
