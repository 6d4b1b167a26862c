"""Leaflet map on the page; its scripts come from this machine if the npm packages are installed."""

from __future__ import annotations

from functools import cache
from typing import Final

import streamlit as st
from streamlit.components.v1 import declare_component
from streamlit_folium import st_folium

from triovision.bundle import NODE_MODULES
from triovision.geo import Box
from triovision.results import CameraFacts, Prediction
from triovision.ui.theme import font_faces
from triovision.ui.translation import Translator
from triovision.viz.leaflet import PUBLIC_CDN, LeafletSource, missing_files
from triovision.viz.map_geometry import drawn_box
from triovision.viz.map_style import MapOptions
from triovision.viz.maps import prediction_map
from triovision.viz.outlines import NO_OUTLINES, read_outlines

_OUTLINES: Final = NODE_MODULES / "world-atlas" / "countries-50m.json"


def render_map(
    prediction: Prediction, camera: CameraFacts | None, t: Translator, key: str, height_px: int = 520
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

    Returns:
        The last drawing of the reader, if it is a rectangle.
    """
    options = MapOptions(
        language=t.language,
        translate=t,
        theme="dark" if st.context.theme.type == "dark" else "light",
        source=_source(),
        outlines=read_outlines(_OUTLINES) if _OUTLINES.is_file() else NO_OUTLINES,
        font_faces=font_faces(),
    )
    # Rendering changes a Folium map, so a second rendering gives another script. A new map for each run gives the same
    # script, and streamlit-folium leaves the map in the browser as it is.
    plot = prediction_map(prediction, camera, options)
    # render=False skips an unused HTML page; the map itself is still rendered.
    drawn = st_folium(
        plot, key=key, height=height_px, use_container_width=True, returned_objects=["all_drawings"], render=False
    )
    if options.source == PUBLIC_CDN:
        st.caption(
            t(
                "The scripts of the map are not installed and come from a public server. "
                "Without a network the map stays blank; `make assets` downloads them once."
            )
        )
    return drawn_box(drawn.get("all_drawings"))


def _source() -> LeafletSource:
    if not _packages_are_complete():
        return PUBLIC_CDN
    # Streamlit serves the folder of a component; the map's frame is a component beside it.
    component = declare_component("packages", path=str(NODE_MODULES))
    return LeafletSource(f"../{component.name}/{{package}}/{{path}}")


@cache
def _packages_are_complete() -> bool:
    return not missing_files(NODE_MODULES)
