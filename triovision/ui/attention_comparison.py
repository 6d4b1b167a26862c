"""Attention of several models on the same country, side by side, and the difference of two of them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from triovision.agreement import top_countries
from triovision.errors import TrioVisionError
from triovision.geo import country_name
from triovision.results import Explanation, Prediction
from triovision.ui.explanation_service import explain
from triovision.ui.messages import report
from triovision.ui.service import shared_model
from triovision.ui.session import ExplanationKey, PhotoResult, current
from triovision.ui.translation import Translator, plain, relabel
from triovision.viz.agreement_figures import attention_difference
from triovision.viz.overlays import jpeg_bytes, overlay

_COUNTRIES = 8
_COLUMNS = 3
_OPACITY = 0.55
_DEFAULT_METHOD = "default"  # each model has its own; see `methods_for`


def render_attention(result: PhotoResult, predictions: Sequence[Prediction], t: Translator) -> None:
    """Draw the choice of a country and, once asked for, what each model looks at for it."""
    country_key = f"compare-country-{result.key}"
    relabel(country_key, t)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        country = st.selectbox(
            t("Country"),
            top_countries(predictions, _COUNTRIES),
            format_func=lambda code: country_name(code, t.language),
            key=country_key,
            width=300,
        )
        asked = st.button(t("Compare the attention"), key="compare-attention")
    explanations: dict[str, Explanation] = {}
    for prediction in predictions:
        if (explanation := _explanation(result, prediction.model, country, asked, t)) is not None:
            explanations[prediction.model] = explanation
    for start in range(0, len(explanations), _COLUMNS):
        shown = list(explanations.items())[start : start + _COLUMNS]
        for column, (model, explanation) in zip(st.columns(_COLUMNS), shown, strict=False):
            caption = f"{plain(model)} · {plain(explanation.method)}"
            image = jpeg_bytes(overlay(result.photo, explanation, _OPACITY))
            column.image(image, caption, output_format="JPEG", width="stretch", alt=f"{model} · {explanation.method}")
    if len(explanations) > 1:
        _render_difference(result, explanations, t)


def _explanation(result: PhotoResult, model: str, country: str, asked: bool, t: Translator) -> Explanation | None:
    """The cached explanation; a new one if it was asked for; None with an error on the page if there is none."""
    key = ExplanationKey(f"{result.key}-{model}", country, _DEFAULT_METHOD)
    explanation = current().explanation(key)
    if explanation is not None or not asked:
        return explanation
    try:
        with st.spinner(t("Computing the explanation of {model}…", model=plain(model))):
            explanation = explain(shared_model(model), result.photo, country)
    except TrioVisionError as error:
        st.warning(report(error, t))
        return None
    current().keep(key, explanation)
    return explanation


def _render_difference(result: PhotoResult, explanations: dict[str, Explanation], t: Translator) -> None:
    models = list(explanations)
    with st.container(horizontal=True):
        first = st.selectbox(t("First model"), models, key="compare-first", width=300)
        others = [model for model in models if model != first]
        second = st.selectbox(t("Second model"), others, key="compare-second", width=300)
    image = attention_difference(result.photo, explanations[first], explanations[second])
    caption = t(
        "Orange counts more for {first}, blue for {second}; grey counts the same or was not seen by both.",
        first=plain(first),
        second=plain(second),
    )
    st.image(jpeg_bytes(image), caption, output_format="JPEG", width=640, alt=caption)
