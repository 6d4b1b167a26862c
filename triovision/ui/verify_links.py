"""Links to maps, street views and image searches on the web. Nothing is opened or sent before a click."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

import streamlit as st

from triovision.ui.translation import Translator

_SEARCHES: Final = {
    "Google Lens": "https://lens.google.com/",
    "TinEye": "https://tineye.com/",
    "Bing": "https://www.bing.com/visualsearch",
    "Yandex": "https://yandex.com/images/",
}
_AROUND_M: Final = 500
_ZOOM: Final = 17


def render_place_links(places: dict[str, tuple[float, float]], t: Translator) -> None:
    """Draw the links of each place.

    Args:
        places: `(lat_deg, lon_deg)` by the name of the place.
        t: Language of the reader.
    """
    st.caption(t("Each link opens a page of another service, which then knows the place that you look at."))
    for number, (name, (lat_deg, lon_deg)) in enumerate(places.items()):
        st.write(f"**{name}**")
        labels = (t("Street view"), t("Map"), t("Satellite"), t("What is nearby (Overpass)"))
        with st.container(horizontal=True, key=f"links-{number}"):
            for label, url in zip(labels, place_urls(lat_deg, lon_deg), strict=True):
                st.link_button(label, url, key=f"link-{number}-{label}")


def render_search_links(t: Translator) -> None:
    """Draw the links to reverse image searches."""
    st.warning(
        t(
            "A reverse image search needs the photo: you upload it there yourself, and it then leaves this computer. "
            "Do not do so with a photo that must stay private. This page sends nothing."
        )
    )
    with st.container(horizontal=True):
        for name, url in _SEARCHES.items():
            st.link_button(name, url)


def place_urls(lat_deg: float, lon_deg: float) -> tuple[str, str, str, str]:
    """Addresses of Google Street View, OpenStreetMap, Google's satellite view, and Overpass Turbo for a place."""
    lat, lon = f"{lat_deg:.6f}", f"{lon_deg:.6f}"
    google = "https://www.google.com/maps/@?"
    street_view = {"api": "1", "map_action": "pano", "viewpoint": f"{lat},{lon}"}
    satellite = {
        "api": "1",
        "map_action": "map",
        "center": f"{lat},{lon}",
        "zoom": str(_ZOOM),
        "basemap": "satellite",
    }
    query = f'[out:json][timeout:25];\nnwr(around:{_AROUND_M},{lat},{lon})["name"];\nout center;'
    return (
        google + urlencode(street_view, safe=","),
        f"https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map={_ZOOM}/{lat}/{lon}",
        google + urlencode(satellite, safe=","),
        f"https://overpass-turbo.eu/?Q={quote(query, safe='')}&C={lat};{lon};{_ZOOM}",
    )
