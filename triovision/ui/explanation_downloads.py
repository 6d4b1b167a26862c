"""Downloads of an explanation: overlay and raw map as pictures, the map as an array."""

from __future__ import annotations

from functools import partial
from io import BytesIO

import numpy as np
import streamlit as st
from PIL.Image import Image

from triovision.photo.names import file_stem
from triovision.results import Explanation
from triovision.ui.translation import Translator
from triovision.viz.overlays import png_bytes


def render_downloads(name: str, explanation: Explanation, over: Image, raw: Image, t: Translator) -> None:
    """Draw the buttons; the files are made when one is pressed.

    Args:
        name: Name of the photo.
        explanation: The explanation.
        over: Its overlay.
        raw: Its raw map.
        t: Language of the reader.
    """
    stem = explanation_stem(name, explanation)
    with st.container(horizontal=True):
        for label, ending, image in ((t("Overlay (PNG)"), "overlay", over), (t("Raw map (PNG)"), "map", raw)):
            st.download_button(label, partial(png_bytes, image), f"{stem}-{ending}.png", "image/png", on_click="ignore")
        st.download_button(
            t("Array (NPZ)"),
            lambda: array_file(explanation),
            f"{stem}-map.npz",
            "application/octet-stream",
            on_click="ignore",
        )


def explanation_stem(name: str, explanation: Explanation) -> str:
    """Beginning of the names of the files of an explanation."""
    countries = "-not-".join(code for code in (explanation.country, explanation.against) if code)
    return f"{file_stem(name)}-{countries}-{file_stem(explanation.method.lower().replace('+', 'p'))}"


def array_file(explanation: Explanation) -> bytes:
    """Write the map with what is needed to use it as an NPZ file, which NumPy loads without pickles.

    Returns:
        `heatmap_hw` (`float32`), `box` (left, top, right, bottom as fractions of the photo), `signed`, and the texts
        `model`, `method`, `layer`, `country` and `against` (empty without a contrast).
    """
    file = BytesIO()
    np.savez_compressed(
        file,
        heatmap_hw=explanation.heatmap_hw,
        box=np.array(explanation.box),
        signed=np.array(explanation.signed),
        model=np.array(explanation.model),
        method=np.array(explanation.method),
        layer=np.array(explanation.layer),
        country=np.array(explanation.country),
        against=np.array(explanation.against or ""),
        allow_pickle=False,
    )
    return file.getvalue()
