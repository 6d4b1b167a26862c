"""Leaflet map on the page; its scripts come from this machine, and without them a message stands in its place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import streamlit as st
from streamlit.components.v1 import declare_component
from streamlit_folium import st_folium

from triovision.bundle import NODE_MODULES
from triovision.collections.entries import CollectionEntry
from triovision.collections.tables import is_unsure
from triovision.collections.texts import position_lines
from triovision.geo import Box, ShadowBand
from triovision.photo.names import clean_text
from triovision.results import CameraFacts, Prediction
from triovision.ui.theme import font_faces
from triovision.ui.translation import Translator
from triovision.viz.collection_map import MapPhoto, collection_map
from triovision.viz.leaflet import LeafletSource, missing_files
from triovision.viz.map_geometry import drawn_box
from triovision.viz.map_style import MapOptions
from triovision.viz.maps import prediction_map
from triovision.viz.outlines import NO_OUTLINES, country_outlines, outlines_file
from triovision.viz.places_map import MarkedPlace, chosen_pin, click_map, places_map


def render_map(
    prediction: Prediction,
    camera: CameraFacts | None,
    t: Translator,
    key: str,
    *,
    height_px: int = 520,
    claim: tuple[float, float] | None = None,
    shadow: ShadowBand | None = None,
) -> Box | None:
    """Draw the map of a prediction.

    Zoom, open pop-ups and drawings survive a rerun of the page for the same prediction. On the map, only drawings and
    the first click rerun the page.

    Args:
        prediction: The prediction.
        camera: Metadata of the camera; its position is drawn if it has one.
        t: Language of the reader.
        key: Widget key of the map.
        height_px: Height on the page.
        claim: Position that somebody claims, drawn instead of the camera's.
        shadow: Band of a shadow that is not (yet) evidence.

    Returns:
        The last drawing of the reader, if it is a rectangle.
    """
    if _scripts_are_missing(t):
        return None
    options = map_options(t)
    # Rendering changes a Folium map, so a second rendering gives another script. A new map for each run gives the same
    # script, and streamlit-folium leaves the map in the browser as it is.
    plot = prediction_map(prediction, camera, options, claim=claim, shadow=shadow)
    # render=False skips an unused HTML page; the map itself is still rendered.
    drawn = st_folium(
        plot, key=key, height=height_px, use_container_width=True, returned_objects=["all_drawings"], render=False
    )
    st.caption(
        t(
            "The layers button of the map offers streets, satellite, terrain and ocean. They come from Esri's servers, "
            "which see the region that you look at; until you choose one, nothing is sent."
        )
    )
    return drawn_box(drawn.get("all_drawings"))


def render_places(places: Sequence[MarkedPlace], t: Translator, key: str, lines_from: int | None = None) -> None:
    """Draw several places with their legend, and great circles from one of them.

    Args:
        places: The places, at least one.
        t: Language of the reader.
        key: Widget key of the map.
        lines_from: Number of the place where the great circles begin; None for no lines.
    """
    if _scripts_are_missing(t):
        return
    plot = places_map(places, map_options(t), lines_from)
    st_folium(plot, key=key, height=480, use_container_width=True, returned_objects=[], render=False)


def render_collection_map(entries: Sequence[CollectionEntry], t: Translator, key: str) -> None:
    """Draw the photos of a collection in clusters; a click on one shows its photos.

    Args:
        entries: The photos, at least one.
        t: Language of the reader.
        key: Widget key of the map.
    """
    if _scripts_are_missing(t):
        return
    photos = [
        MapPhoto(
            lat_deg=entry.position[0],
            lon_deg=entry.position[1],
            name=clean_text(entry.name, 80),
            line="; ".join(position_lines(entry, t)[:2]),
            thumbnail_jpeg=entry.thumbnail_jpeg,
            sure=not is_unsure(entry),
        )
        for entry in entries
    ]
    plot = collection_map(photos, map_options(t))
    st_folium(plot, key=key, height=480, use_container_width=True, returned_objects=[], render=False)


def render_click_map(chosen: tuple[float, float] | None, t: Translator, key: str) -> None:
    """Draw a map of the world whose clicks rerun the page; see `clicked_position`.

    Args:
        chosen: Position of the pin, `(lat_deg, lon_deg)`; None for none.
        t: Language of the reader.
        key: Widget key of the map. The map keeps its zoom while the key stays.
    """
    if _scripts_are_missing(t):
        return
    st_folium(
        click_map(map_options(t)),
        key=key,
        height=440,
        use_container_width=True,
        returned_objects=["last_clicked"],
        feature_group_to_add=None if chosen is None else chosen_pin(*chosen),
        render=False,
    )


def clicked_position(key: str) -> tuple[float, float] | None:
    """Last click on a `render_click_map`, before it is drawn in this run; longitude within ±180°."""
    state = st.session_state.get(key)
    click = state.get("last_clicked") if isinstance(state, dict) else None
    if not click:
        return None
    return max(-90.0, min(90.0, float(click["lat"]))), (float(click["lng"]) + 180) % 360 - 180


def map_options(t: Translator) -> MapOptions:
    """Language, theme and script addresses of a map for this reader."""
    outlines_url = _outlines_url()
    return MapOptions(
        translate=t,
        theme="dark" if st.context.theme.type == "dark" else "light",
        source=_source(),
        outlines=NO_OUTLINES if outlines_url else country_outlines(),
        outlines_url=outlines_url,
        font_faces=font_faces(),
    )


def _outlines_url() -> str:
    path = outlines_file()
    if path is None:
        return ""
    component = declare_component("outlines", path=str(path.parent))
    return f"../{component.name}/{path.name}"


def _scripts_are_missing(t: Translator) -> bool:
    """Whether the npm packages are missing; a message then says how to get them. No other server is asked for them."""
    if _packages_are_complete():
        return False
    st.info(t("There is no map, because its scripts are not installed. `make assets` downloads them once."))
    return True


def _source() -> LeafletSource:
    # Streamlit serves the folder of a component; the map's frame is a component beside it.
    component = declare_component("packages", path=str(NODE_MODULES))
    return LeafletSource(f"../{component.name}/{{package}}/{{path}}")


@cache
def _packages_are_complete() -> bool:
    return not missing_files(NODE_MODULES)
