"""Explanation tab: class activation map of a country over the photo."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st
from PIL.Image import Image
from streamlit.delta_generator import DeltaGenerator

from triovision.errors import TrioVisionError
from triovision.geo import country_name
from triovision.photo.names import file_stem
from triovision.prediction_texts import guess_text
from triovision.results import Explanation
from triovision.ui.messages import report
from triovision.ui.probabilities import countries_shown
from triovision.ui.service import explain, explanation_methods
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain
from triovision.viz import jpeg_bytes, overlay, png_bytes, raw_map, shown_photo

if TYPE_CHECKING:
    from triovision.inference import GeoModel


def render_explanation(result: PhotoResult, model: GeoModel, t: Translator) -> None:
    """Draw the choice of country, method and opacity, then overlay, photo and raw map side by side."""
    guesses = {guess.country: guess for guess in result.prediction.countries}
    methods = explanation_methods(model)
    choices = list(guesses)[: countries_shown(len(guesses))]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        country = st.selectbox(
            t("Country"),
            choices,
            format_func=lambda code: guess_text(guesses[code], result.prediction.calibrated, t),
            key=f"country-{result.id}",
            persist_state="session",
            width=300,
        )
        method = st.selectbox(t("Method"), methods, key="method", persist_state="session", width=240)
        opacity = st.slider(
            t("Opacity of the map"),
            *(0, 100, 55, 5),
            format=t.percent_format,
            key="opacity",
            persist_state="session",
            width=220,
        )
    try:
        explanation = _explanation(result, model, country, method, t)
    except TrioVisionError as error:
        st.error(report(error, t))
        return
    _draw(result, explanation, opacity / 100, t)


def _explanation(result: PhotoResult, model: GeoModel, country: str, method: str | None, t: Translator) -> Explanation:
    key = (result.id, country, method or "")  # some engines have a single, unnamed method
    explanation = current().explanation(key)
    if explanation is None:
        progress = st.empty()
        with st.spinner(t("Computing the explanation…")):
            explanation = explain(model, result.photo, country, method, partial(_draw_progress, progress, t))
        progress.empty()
        current().keep(key, explanation)
    return explanation


def _draw_progress(place: DeltaGenerator, t: Translator, fraction: float) -> None:
    """Draw the progress of a slow method; here Streamlit ends the run after a click, or when the reader has gone."""
    place.progress(fraction, t("Score-CAM runs the model for every channel of the layer; this takes a while…"))


def _draw(result: PhotoResult, explanation: Explanation, opacity: float, t: Translator) -> None:
    name = country_name(explanation.country, t.language)
    over, raw = overlay(result.photo, explanation, opacity), raw_map(result.photo, explanation)
    images = {
        t("Heat map for {country}", country=name): over,
        t("Photo"): shown_photo(result.photo),
        t("Raw map of the layer"): raw,
    }
    for column, (caption, image) in zip(st.columns(3), images.items(), strict=True):
        column.image(jpeg_bytes(image), caption, output_format="JPEG", width="stretch", alt=caption)
    st.caption(
        t(
            "Bright areas contributed most to {country}, dark areas little. "
            "Grey areas are not part of the model input.",
            country=name,
        )
    )
    st.caption(
        t(
            "Method {method} · layer {layer} · target {country} · {milliseconds} ms",
            method=explanation.method,
            layer=plain(explanation.layer),
            country=name,
            milliseconds=t.number(explanation.elapsed_ms),
        )
    )
    if explanation.model != result.prediction.model:
        st.caption(t("Explained by the ensemble member {model}.", model=plain(explanation.model)))
    stem = f"{file_stem(result.photo.name)}-{explanation.country}-{explanation.method.lower()}"
    with st.container(horizontal=True):
        _download(t("Overlay (PNG)"), f"{stem}-overlay.png", over)
        _download(t("Raw map (PNG)"), f"{stem}-map.png", raw)


def _download(label: str, file_name: str, image: Image) -> None:
    st.download_button(label, lambda: png_bytes(image), file_name=file_name, mime="image/png", on_click="ignore")
