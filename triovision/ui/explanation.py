"""Explanation tab: map of a country over the photo, its faithfulness, and the activations of the network."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from triovision.errors import TrioVisionError
from triovision.prediction_texts import explained_text, legend_text
from triovision.results import Explanation
from triovision.ui.explanation_choices import render_choices
from triovision.ui.explanation_downloads import render_downloads
from triovision.ui.explanation_service import estimated_ms, explain, is_slow, longest_ms
from triovision.ui.explanation_texts import about_time, elapsed_time, method_name, reading
from triovision.ui.faithfulness import render_faithfulness
from triovision.ui.inside_network import render_inside_network
from triovision.ui.messages import render_fault
from triovision.ui.service import is_remote
from triovision.ui.session import ExplanationKey, PhotoResult, current
from triovision.ui.step_progress import StepProgress
from triovision.ui.translation import Translator, plain
from triovision.viz.overlays import jpeg_bytes, overlay, raw_map, shown_photo

if TYPE_CHECKING:
    from triovision.inference import GeoModel

_AT_ONCE_MS = 2000  # an explanation that takes longer waits for a button


def render_explanation(result: PhotoResult, model: GeoModel, t: Translator) -> None:
    """Draw the choices, then overlay, photo and raw map side by side, and what can be measured about them."""
    choice = render_choices(result, model, t)
    try:
        explanation = _explanation(result, model, choice.key, t)
    except TrioVisionError as error:
        render_fault(error, "why-again", t)
        explanation = None
    if explanation is not None:
        _draw(result, explanation, choice.opacity, t)
    if is_remote():
        st.caption(t("The models run on a server, which measures no faithfulness and gives no activations."))
        return
    if explanation is not None and explanation.heatmap_hw.any():
        render_faithfulness(result, model, choice.key, explanation, t)
    render_inside_network(result, model, t)


def _explanation(result: PhotoResult, model: GeoModel, key: ExplanationKey, t: Translator) -> Explanation | None:
    """The cached explanation or a new one; None for a slow one that the reader has not started."""
    st.caption(reading(key.method, t))
    explanation = current().explanation(key)
    if explanation is not None:
        return explanation
    place = st.empty()
    progress = StepProgress(
        place, t("{method} runs the model many times…", method=method_name(key.method, t)), "why-stop", t
    )
    slow = is_slow(key.method)
    if slow and not _started(place, model, key, t):
        return None
    in_steps = slow and not is_remote()  # a server tells nothing of its steps
    if in_steps:
        progress(0.0)
    try:
        with nullcontext() if in_steps else st.spinner(t("Computing the explanation…")):
            explanation = explain(
                model,
                result.photo,
                key.country,
                key.method or None,
                against=key.against,
                settings=key.settings,
                on_step=progress,
            )
    except TrioVisionError:
        place.empty()
        raise
    place.empty()
    current().keep(key, explanation)
    return explanation


def _started(place: DeltaGenerator, model: GeoModel, key: ExplanationKey, t: Translator) -> bool:
    """Whether the explanation is expected at once, or the reader has pressed the button that says its time."""
    with place, st.spinner(t("Estimating the time…")):
        estimate_ms = estimated_ms(model, key.method, key.settings)
    if estimate_ms is not None and estimate_ms <= _AT_ONCE_MS:
        return True
    label = t("Compute") if estimate_ms is None else t("Compute ({time})", time=about_time(estimate_ms, t))
    with place.container():
        if too_long := estimate_ms is not None and estimate_ms > longest_ms():
            st.warning(
                t(
                    "This would probably end without a map: one explanation may take {duration} at most. Choose a "
                    "faster method, or settings with fewer steps.",
                    duration=t.duration(longest_ms() / 1000),
                )
            )
        return st.button(label, type="secondary" if too_long else "primary", key="why-compute")


def _draw(result: PhotoResult, explanation: Explanation, opacity: float, t: Translator) -> None:
    explained = explained_text(explanation, t)
    over, raw = overlay(result.photo, explanation, opacity), raw_map(result.photo, explanation)
    images = {
        t("Heat map for {country}", country=explained): over,
        t("Photo"): shown_photo(result.photo),
        t("Raw map"): raw,
    }
    for column, (caption, image) in zip(st.columns(3), images.items(), strict=True):
        column.image(jpeg_bytes(image), caption, output_format="JPEG", width="stretch", alt=caption)
    if explanation.heatmap_hw.any():
        st.caption(legend_text(explanation, t))
    else:
        st.info(t("The map is empty: this method finds no part of the photo that changes the score."))
    st.caption(
        t(
            "Method {method} · layer {layer} · target {country} · {time}",
            method=method_name(explanation.method, t),
            layer=t("input") if explanation.layer == "input" else plain(explanation.layer),
            country=explained,
            time=elapsed_time(explanation.elapsed_ms, t),
        )
    )
    if explanation.model != result.prediction.model:
        st.caption(t("Explained by the ensemble member {model}.", model=plain(explanation.model)))
    render_downloads(result.photo.name, explanation, over, raw, t)
