"""Folium map of a prediction: landmark, predicted place, radius, alternatives, density and camera position."""

from __future__ import annotations

from html import escape
from itertools import accumulate
from typing import Final

import folium
import numpy as np
from folium.plugins import FastMarkerCluster

from triovision.geo import ShadowBand, country_name, distance_km
from triovision.guesses import PlaceGuess
from triovision.languages import percent
from triovision.results import CameraFacts, Prediction
from triovision.viz.map_controls import add_controls
from triovision.viz.map_elements import ShadedCells
from triovision.viz.map_geometry import (
    box_corners,
    density_cells,
    disc,
    disc_bounds,
    great_circle,
    near_lon_deg,
    shadow_cells,
)
from triovision.viz.map_ground import LANDMARK_ZOOM, OUTLINES_ZOOM, add_base_layers, ground_map, pin, popup_html
from triovision.viz.map_style import CAMERA_COLOUR, LANDMARK_COLOUR, SHADOW_COLOUR, MapOptions, colours
from triovision.viz.map_view import FitUntilTouched, OneWorld

_DEFAULT_OPTIONS: Final = MapOptions()
_LIKELY: Final = 0.8
"""The first view shows the most probable places up to this probability; zooming out shows the others."""
_MERCATOR_DEG: Final = 85.0511
"""Latitude at which a Web Mercator map ends (EPSG:3857)."""
_MAX_CIRCLE_KM: Final = 1000.0
"""A larger radius is not drawn: a circle over half of a continent tells the reader nothing."""
_LEAST_ALTERNATIVE: Final = 0.001
"""A less probable place is no alternative; beside a recognised landmark, nearly all are less probable."""
_STAR: Final = '<path d="M17 8l2.6 6 6.4.5-4.9 4.2 1.5 6.3-5.6-3.4-5.6 3.4 1.5-6.3L8 14.5l6.4-.5Z" fill="#fff"/>'
_ALTERNATIVE: Final = """function (row) {
    var icon = L.divIcon({className: "dot", iconSize: [18, 18], popupAnchor: [0, -9]});
    return L.marker([row[0], row[1]], {icon: icon, title: row[3], probability: row[4]}).bindPopup(row[2]);
}"""
_CLUSTER: Final = """function (cluster) {
    var probability = cluster.getAllChildMarkers().reduce(function (sum, marker) {
        return sum + marker.options.probability;
    }, 0);
    var text = probability.toLocaleString("LANGUAGE", {style: "percent", maximumSignificantDigits: 2});
    return L.divIcon({html: text, className: "cluster", iconSize: [46, 46]});
}"""
_UNCALIBRATED_CLUSTER: Final = """function (cluster) {
    return L.divIcon({html: String(cluster.getChildCount()), className: "cluster", iconSize: [46, 46]});
}"""


def prediction_map(
    prediction: Prediction,
    camera: CameraFacts | None = None,
    options: MapOptions = _DEFAULT_OPTIONS,
    *,
    claim: tuple[float, float] | None = None,
    shadow: ShadowBand | None = None,
) -> folium.Map:
    """Draw the probable places of a photo.

    The map shows the recognised landmark, the predicted place with the radius that holds half of the probability, the
    other places in clusters labelled with their joint probability (with their number, if the model is not calibrated),
    and the position in the photo's metadata with its distance from the predicted place. A radius above 1,000 km is not
    drawn. Where the model abstains, the density is shown instead. The same arguments give the same script, except for
    object ids, so that a page which draws the map again keeps the state that the reader left it in.

    Args:
        prediction: The prediction.
        camera: Metadata of the camera; its position is drawn if it has one.
        options: Language, colours and addresses of the scripts.
        claim: Position `(lat_deg, lon_deg)` that somebody claims, drawn instead of the camera's.
        shadow: Band of a shadow; that of the prediction's evidence is drawn anyway.
    """
    place = prediction.place
    plot, outlines = ground_map(place.lat_deg, place.lon_deg, options)
    tiles = add_base_layers(plot, options)
    _add_density(plot, prediction, options)
    shadow = shadow or (prediction.evidence.shadow if prediction.evidence else None)
    if shadow:
        group = folium.FeatureGroup(options.translate("Places where the shadow fits")).add_to(plot)
        ShadedCells(shadow_cells(shadow, place.lon_deg), SHADOW_COLOUR).add_to(group)
    _add_radius(plot, prediction, options)
    _add_alternatives(plot, prediction, options)
    _add_place(plot, prediction, options)
    if prediction.landmark:
        _add_landmark(plot, prediction.landmark, place, options)
    position = claim or (camera.position if camera else None)
    if position:
        title = options.translate("Claimed place") if claim else options.translate("Position in the EXIF data")
        _add_camera(plot, position, title, place, options)
    add_controls(plot, outlines, tiles, options)
    OneWorld(place.lon_deg).add_to(plot)
    # Close enough to tell two positions apart; a landmark with its part of the country; the shape of the country.
    closest = 11 if position else LANDMARK_ZOOM if prediction.landmark else OUTLINES_ZOOM
    FitUntilTouched(_bounds(prediction, position), padding=(24, 24), max_zoom=closest).add_to(plot)
    return plot


def _add_density(plot: folium.Map, prediction: Prediction, options: MapOptions) -> None:
    """Add the density, hidden at first unless nothing smaller is known, and the box of the evidence."""
    lon_deg, accent = prediction.place.lon_deg, colours(options.theme)["accent"]
    vague = prediction.area.kind in ("part_of_world", "unknown")
    group = folium.FeatureGroup(options.translate("Density of the probability"), show=vague).add_to(plot)
    ShadedCells(density_cells(prediction.posterior.density(), lon_deg), accent).add_to(group)
    if prediction.evidence and prediction.evidence.box:
        corners = box_corners(prediction.evidence.box, lon_deg)
        folium.Rectangle(corners, color=accent, weight=2, fill=False, interactive=False).add_to(plot)


def _has_circle(prediction: Prediction) -> bool:
    return prediction.area.kind in ("place", "region", "country") and prediction.radius_km <= _MAX_CIRCLE_KM


def _add_radius(plot: folium.Map, prediction: Prediction, options: MapOptions) -> None:
    if not _has_circle(prediction):
        return
    place, accent = prediction.place, colours(options.theme)["accent"]
    group = folium.FeatureGroup(options.translate("Radius of half the probability")).add_to(plot)
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


def _add_alternatives(plot: folium.Map, prediction: Prediction, options: MapOptions) -> None:
    rows: list[tuple[float, float, str, str, float]] = []
    for place in _alternatives(prediction):
        country = country_name(place.country, options.language)
        lon_deg = near_lon_deg(place.lon_deg, prediction.place.lon_deg)
        title = f"{place.name}, {country}"
        if prediction.calibrated:
            title += f": {percent(place.probability, options.language)}"
        html = popup_html(place.name, country, *_probability_lines(place, prediction, options))
        rows.append((place.lat_deg, lon_deg, html, title, place.probability))
    cluster_icon = _CLUSTER if prediction.calibrated else _UNCALIBRATED_CLUSTER
    cluster = FastMarkerCluster(
        rows,
        callback=_ALTERNATIVE,
        name=options.translate("Other places"),
        icon_create_function=cluster_icon.replace("LANGUAGE", options.language),
        maxClusterRadius=46,
        showCoverageOnHover=False,
    )
    options.source.equip(cluster, "leaflet.markercluster", options.language)
    cluster.add_to(plot)


def _add_place(plot: folium.Map, prediction: Prediction, options: MapOptions) -> None:
    place, country = prediction.place, country_name(prediction.place.country, options.language)
    title = options.translate("Best guess, not sure") if prediction.abstained else options.translate("Predicted place")
    lines = _probability_lines(place, prediction, options)
    if _has_circle(prediction) and prediction.calibrated:
        distance = options.translate.km(prediction.radius_km)
        lines.append(options.translate("Half of the probability lies within {distance}.", distance=distance))
    group = folium.FeatureGroup(options.translate("Predicted place"))
    group.add_to(plot)
    pin(
        (place.lat_deg, place.lon_deg),
        colour=colours(options.theme)["accent"],
        title=f"{title}: {place.name}, {country}",
        html=popup_html(place.name, country, *lines, title=title),
        class_name="unsure" if prediction.abstained else "sure",
    ).add_to(group)


def _add_landmark(plot: folium.Map, landmark: PlaceGuess, place: PlaceGuess, options: MapOptions) -> None:
    country, title = country_name(landmark.country, options.language), options.translate("Recognised landmark")
    probability = percent(landmark.probability, options.language)
    group = folium.FeatureGroup(title)
    group.add_to(plot)
    pin(
        (landmark.lat_deg, near_lon_deg(landmark.lon_deg, place.lon_deg)),
        colour=LANDMARK_COLOUR,
        title=f"{title}: {landmark.name}, {country}",
        html=popup_html(
            landmark.name, country, options.translate("Probability: {value}", value=probability), title=title
        ),
        class_name="landmark",
        sign=_STAR,
    ).add_to(group)


def _add_camera(
    plot: folium.Map, position: tuple[float, float], title: str, place: PlaceGuess, options: MapOptions
) -> None:
    distance = options.translate.km(float(distance_km(*position, place.lat_deg, place.lon_deg)))
    away = options.translate("{distance} from the predicted place", distance=distance)
    group = folium.FeatureGroup(title)
    group.add_to(plot)
    line = great_circle((place.lat_deg, place.lon_deg), position)
    folium.PolyLine(line.tolist(), color=CAMERA_COLOUR, weight=3).add_to(group)
    # A label of size 0, centred by its style: a permanent tooltip measures itself before the style sheet is loaded.
    label = folium.DivIcon(f"<span>{escape(distance)}</span>", icon_size=(0, 0), class_name="distance")
    folium.Marker(
        line[len(line) // 2].tolist(), icon=label, interactive=False, keyboard=False, zIndexOffset=500
    ).add_to(group)
    pin(
        line[-1].tolist(),
        colour=CAMERA_COLOUR,
        title=title,
        html=popup_html(f"{position[0]:.5f}, {position[1]:.5f}", away, title=title),
        class_name="camera",
    ).add_to(group)


def _probability_lines(place: PlaceGuess, prediction: Prediction, options: MapOptions) -> list[str]:
    """The probability of a place, which is left out for an uncalibrated model."""
    if not prediction.calibrated:
        return []
    return [options.translate("Probability: {value}", value=percent(place.probability, options.language))]


def _alternatives(prediction: Prediction) -> list[PlaceGuess]:
    best = (prediction.place.lat_deg, prediction.place.lon_deg)
    return [
        place
        for place in prediction.places
        if (place.lat_deg, place.lon_deg) != best and place.probability >= _LEAST_ALTERNATIVE
    ]


def _bounds(prediction: Prediction, position: tuple[float, float] | None) -> list[list[float]]:
    """Corners of the first view: radius and likely places, or the landmark alone; and the camera's position."""
    place = prediction.place
    before = accumulate((p.probability for p in prediction.places), initial=0.0)
    likely = [
        (p.lat_deg, p.lon_deg) for p, sum_before in zip(prediction.places, before, strict=False) if sum_before < _LIKELY
    ]
    likely.append((place.lat_deg, place.lon_deg))
    if prediction.landmark:
        likely = [(prediction.landmark.lat_deg, prediction.landmark.lon_deg)]
    points = [(lat, near_lon_deg(lon, place.lon_deg)) for lat, lon in (*likely, *([position] if position else ()))]
    circle = [disc_bounds(place.lat_deg, place.lon_deg, prediction.radius_km)] if _has_circle(prediction) else []
    corners = np.vstack([*circle, *points])
    corners[:, 0] = corners[:, 0].clip(-_MERCATOR_DEG, _MERCATOR_DEG)
    return [corners.min(axis=0).tolist(), corners.max(axis=0).tolist()]
