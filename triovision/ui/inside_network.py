"""Activations of each stage of the network for a photo, as a mosaic of small pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from triovision.errors import TrioVisionError
from triovision.photo.names import file_stem
from triovision.ui.explanation_service import network_activations
from triovision.ui.messages import render_fault
from triovision.ui.session import PhotoResult, current
from triovision.ui.theme import palette
from triovision.ui.translation import Translator, plain, relabel
from triovision.viz.activation_mosaic import activation_mosaic
from triovision.viz.overlays import jpeg_bytes, png_bytes

if TYPE_CHECKING:
    from triovision.explain import StageActivations
    from triovision.inference import GeoModel


def render_inside_network(result: PhotoResult, model: GeoModel, t: Translator) -> None:
    """Draw the expander; it is empty, and nothing is computed, while it is closed."""
    with st.expander(t("Inside the network"), on_change="rerun", key=f"inside-{result.id}") as opened:
        if not opened.open:
            return
        try:
            stages = _activations(result, model, t)
        except TrioVisionError as error:
            render_fault(error, "inside-again", t)
            return
        _draw(result, stages, t)


def _activations(result: PhotoResult, model: GeoModel, t: Translator) -> tuple[StageActivations, ...]:
    session = current()
    if result.id not in session.activations:
        with st.spinner(t("Running the network…")):
            session.keep_activations(result.id, network_activations(model, result.photo))
    return session.activations[result.id]


def _draw(result: PhotoResult, stages: tuple[StageActivations, ...], t: Translator) -> None:
    st.caption(
        t(
            "Each picture is the output of one channel for this photo, the strongest channels first. Black is the "
            "least value of a picture and light yellow the greatest, so compare patterns, not pictures. Early stages "
            "respond to edges and colours, late ones to parts and things, on ever coarser grids. In a model of several "
            "networks, the stages of one network follow those of another."
        )
    )
    if st.session_state.get("inside-stage", 0) >= len(stages):  # chosen with another model
        st.session_state["inside-stage"] = 0
    relabel("inside-stage", t)
    number = st.selectbox(
        t("Stage"),
        range(len(stages)),
        format_func=lambda i: t(
            "{number} of {count} · {layer}", number=i + 1, count=len(stages), layer=stages[i].layer
        ),
        key="inside-stage",
        persist_state="session",
        width=330,
    )
    stage = stages[number]
    _, height, width = stage.maps_khw.shape
    caption = t(
        "Layer {layer}: {shown} of {total} channels, {height} rows and {width} columns each.",
        layer=plain(stage.layer),
        shown=len(stage.channels),
        total=t.number(stage.total_channels),
        height=height,
        width=width,
    )
    mosaic = activation_mosaic(stage.maps_khw, palette())
    with st.container(width=mosaic.width):  # narrower on a phone
        st.image(jpeg_bytes(mosaic), caption, output_format="JPEG", width="stretch", alt=caption)
    st.download_button(
        t("Activations (PNG)"),
        lambda: png_bytes(mosaic),
        f"{file_stem(result.photo.name)}-stage-{number + 1}.png",
        "image/png",
        on_click="ignore",
    )
