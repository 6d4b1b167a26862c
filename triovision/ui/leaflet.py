"""The map on the page, with every script served from this machine when the npm packages are there."""

from __future__ import annotations

from functools import cache
from typing import Final

import streamlit as st
from streamlit.components.v1 import declare_component
from streamlit_folium import st_folium

from triovision.bundle import NODE_MODULES
from triovision.geo import Box
from triovision.results import CameraFacts, Prediction
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
    """Show where a photo was probably taken.

    Zoom, open pop-ups and drawings stay as they are when the page runs again for the same prediction, and nothing that
    the reader does on the map makes the page run, but for drawings and, once, the first click.

    Args:
        prediction: What to draw.
        camera: What the camera wrote.
        t: Language of the reader.
        key: Name of this map on the page.
        height_px: Height on the screen.

    Returns:
        The rectangle that the reader drew last, if that was the last drawing.
    """
    options = MapOptions(
        language=t.language,
        translate=t,
        theme="dark" if st.context.theme.type == "dark" else "light",
        source=_source(),
        outlines=read_outlines(_OUTLINES) if _OUTLINES.is_file() else NO_OUTLINES,
    )
    # Folium keeps what it has rendered inside its objects, so a map that is rendered twice is another one: a new map
    # for each run, of which streamlit-folium makes the same script, leaves the one in the browser alone.
    plot = prediction_map(prediction, camera, options)
    # render=False leaves out a whole page of HTML that nobody reads; the map itself is rendered all the same.
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
    if not _packages_are_whole():
        return PUBLIC_CDN
    # A component is a folder that Streamlit serves; the map's frame is another one, its neighbour.
    component = declare_component("packages", path=str(NODE_MODULES))
    return LeafletSource(f"../{component.name}/{{package}}/{{path}}")


@cache
def _packages_are_whole() -> bool:
    return not missing_files(NODE_MODULES)
