"""Probabilities tab: charts of the most probable countries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
import streamlit as st

from triovision.errors import ModelError
from triovision.geo import country_name
from triovision.photo.names import file_stem
from triovision.results import Prediction
from triovision.ui.address import MAX_COUNTRIES, MIN_COUNTRIES
from triovision.ui.messages import report
from triovision.ui.service import run_model
from triovision.ui.session import PhotoResult
from triovision.ui.theme import palette
from triovision.ui.translation import Translator
from triovision.viz.figures import (
    certainty_strip,
    figures_page,
    probability_bars,
    probability_gauge,
    probability_radar,
    similarity_heatmap,
)

if TYPE_CHECKING:
    from triovision.inference import GeoModel


def render_probabilities(result: PhotoResult, model: GeoModel, t: Translator) -> None:
    """Draw strip, bars, radar, similarity and gauges of the most probable countries."""
    prediction = result.prediction
    if not prediction.calibrated:
        st.caption(t("Uncalibrated: the percentages are scores of the model, not how often it is right."))
    known = len(prediction.countries)
    if known > MIN_COUNTRIES:
        most = min(MAX_COUNTRIES, known)
        if "k" in st.session_state:  # chosen with another model, or by a link
            st.session_state["k"] = min(most, st.session_state["k"])
        st.slider(t("Number of countries"), MIN_COUNTRIES, most, key="k", persist_state="session", width=320)
    k = min(int(st.session_state.get("k", MIN_COUNTRIES)), known)
    try:
        figures = _figures(prediction, k, model, t)
    except ModelError as error:
        st.error(report(error, t))
        return
    gauges = {
        country_name(guess.country, t.language): probability_gauge(guess, palette(), t.language)
        for guess in prediction.countries[:k]
    }
    stem = file_stem(result.photo.name)
    strip, bars, radar, similarity = figures
    _plot(strip, figures[strip], stem)
    left, right = st.columns(2, gap="large")
    with left:
        _plot(bars, figures[bars], stem)
        if prediction.calibrated:
            st.caption(_set_sentence(model.card.calibration.conformal_coverage, t))
        _plot(radar, figures[radar], stem)
    with right:
        _plot(similarity, figures[similarity], stem)
        st.subheader(t("Each country"), anchor=False)
        with st.container(horizontal=True, gap="small"):
            for number, (name, gauge) in enumerate(gauges.items()):
                config = _config(stem, name)
                st.plotly_chart(gauge, theme=None, width=160, key=f"gauge-{number}", config=config, alt=name)
    st.download_button(
        t("All charts as one page (HTML)"),
        lambda: figures_page(figures | gauges, result.photo.name),
        file_name=f"{stem}-charts.html",
        mime="text/html",
        on_click="ignore",
    )


def _figures(prediction: Prediction, k: int, model: GeoModel, t: Translator) -> dict[str, go.Figure]:
    """Figures by heading, in the order strip, bars, radar, similarity."""
    colors, language = palette(), t.language
    countries = [guess.country for guess in prediction.countries[:k]]
    coverage = t.percent(model.card.calibration.conformal_coverage)
    inside, outside = t("in the {coverage} set", coverage=coverage), t("outside")
    parts = t("the rest of the likely set"), t("all others")
    return {
        t("Confidence"): certainty_strip(prediction, colors, parts, language),
        t("Most probable countries"): probability_bars(prediction, k, colors, (inside, outside), language),
        t("Radar chart"): probability_radar(prediction, k, colors, language),
        t("Country similarity according to the model"): similarity_heatmap(
            countries, run_model(model, lambda one: one.country_similarity(countries)), colors, language
        ),
    }


def _set_sentence(coverage: float, t: Translator) -> str:
    return t(
        "“In the {coverage} set”: for each photo the model lists countries, few when it is sure, many when it is not. "
        "For {coverage} of photos like those it was calibrated on, the right country is on the list. "
        "The hatched countries are not on it: less probable, but possible.",
        coverage=t.percent(coverage),
    )


def _plot(name: str, figure: go.Figure, stem: str) -> None:
    st.subheader(name, anchor=False)
    st.plotly_chart(figure, theme=None, key=f"figure-{name}", config=_config(stem, name), alt=name)


def _config(stem: str, name: str) -> dict[str, object]:
    """Configuration of Plotly's mode bar: one button, which saves the figure as PNG."""
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": f"{stem}-{file_stem(name).lower()}"},
    }
