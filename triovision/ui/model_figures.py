"""Figures of a model card, each with a sentence about it and its table."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from triovision.bundle import NODE_MODULES
from triovision.geo import continent_name, country_name
from triovision.metrics.model_figures import ModelFigures
from triovision.ui.theme import palette
from triovision.ui.translation import Translator, plain
from triovision.viz.model_figures import continent_confusion, recall_map, reliability_figure, risk_coverage_figure
from triovision.viz.outlines import read_country_outlines

_OUTLINES = NODE_MODULES / "world-atlas" / "countries-110m.json"


def render_figures(figures: ModelFigures | None, t: Translator) -> None:
    """Draw the figures of a model, or say that it has none."""
    if figures is None:
        st.caption(t("There are no figures for this model."))
        return
    with st.expander(
        t("Figures: how sure, how right, where"), on_change="rerun", key=f"figures-{figures.model}"
    ) as opened:
        if opened.open:  # a closed one is not worth four charts of each model
            _render(figures, t)


def _render(figures: ModelFigures, t: Translator) -> None:
    st.write(_summary(figures, t))
    st.caption(plain(t.of_card(figures.measured_on), 1000))
    left, right = st.columns(2, gap="large")
    with left:
        _reliability(figures, t)
        _continents(figures, t)
    with right:
        _risk(figures, t)
    _countries(figures, t)


def _summary(figures: ModelFigures, t: Translator) -> str:
    photos = t.plural("{number} photo", "{number} photos", figures.photos)
    right = t.percent(figures.top1)
    if figures.sources is None:
        return t("Measured on {photos}: the country is right for {right}.", photos=photos, right=right)
    if figures.top1_low is None or figures.top1_high is None:
        return t(
            "Measured on {photos} of {sources} sources: the country is right for {right}.",
            photos=photos,
            sources=t.number(figures.sources),
            right=right,
        )
    return t(
        "Measured on {photos} of {sources} sources that the model never saw: the country is right for {right} "
        "(95% interval over the sources: {low} to {high}).",
        photos=photos,
        sources=t.number(figures.sources),
        right=right,
        low=t.percent(figures.top1_low),
        high=t.percent(figures.top1_high),
    )


def _reliability(figures: ModelFigures, t: Translator) -> None:
    error = t.percent(figures.expected_calibration_error)
    rows = [[t.percent(one.probability), t.percent(one.accuracy), one.photos] for one in figures.reliability]
    render_figure(
        t("Is it as right as it says?"),
        t(
            "Each dot gathers photos with similar probabilities. On the diagonal, the answers are right as often as "
            "they say. Mean distance from it: {error}.",
            error=error,
        ),
        reliability_figure(figures, palette(), t),
        pd.DataFrame(rows, columns=[t("Probability"), t("Right"), t("Photos")]),
        figures.model,
        t,
    )


def _risk(figures: ModelFigures, t: Translator) -> None:
    chosen = figures.at_threshold
    sentence = t("The further to the right, the more photos it answers, and the more answers are wrong.")
    if chosen.risk is None:
        sentence += " " + t("At its threshold this model was sure of no photo.")
    else:
        sentence += " " + t(
            "At its threshold it answers {coverage} of the photos, and {risk} of these answers are wrong.",
            coverage=t.percent(chosen.coverage),
            risk=t.percent(chosen.risk),
        )
    rows = [
        [t.percent(one.threshold), t.percent(one.coverage), t.percent(one.risk)]
        for one in figures.risk_coverage
        if one.risk is not None
    ]
    render_figure(
        t("What does caution gain?"),
        sentence,
        risk_coverage_figure(figures, palette(), t),
        pd.DataFrame(rows, columns=[t("Smallest probability"), t("Answered"), t("Wrong")]),
        figures.model,
        t,
    )


def _continents(figures: ModelFigures, t: Translator) -> None:
    rows = [
        [continent_name(one.truth, t.language), continent_name(one.answer, t.language), one.photos]
        for one in figures.continents
    ]
    right = sum(one.photos for one in figures.continents if one.truth == one.answer) / figures.photos
    render_figure(
        t("Which continents does it confuse?"),
        t(
            "Each row shows where the photos of one continent were placed. The continent is right for {right}.",
            right=t.percent(right),
        ),
        continent_confusion(figures, palette(), t),
        pd.DataFrame(rows, columns=[t("True continent"), t("Predicted continent"), t("Photos")]),
        figures.model,
        t,
    )


def _countries(figures: ModelFigures, t: Translator) -> None:
    rows = [
        [
            country_name(one.country, t.language),
            t.percent(one.recall),
            "-"
            if one.low is None or one.high is None
            else t("{low} to {high}", low=t.percent(one.low), high=t.percent(one.high)),
            one.photos,
            "-" if one.sources is None else t.number(one.sources),
        ]
        for one in sorted(figures.countries, key=lambda one: country_name(one.country, t.language))
    ]
    columns = [t("Country"), t("Right"), t("95% interval"), t("Photos"), t("Sources")]
    drawn, missing = None, t("The map needs country outlines; `make assets` downloads them once.") + " "
    if _OUTLINES.is_file():
        drawn, missing = recall_map(figures, read_country_outlines(_OUTLINES), palette(), t), ""
    render_figure(
        t("Which countries does it recognise?"),
        missing
        + t(
            "Share of the photos of each country that it places there, in {count} countries. Many have few photos or "
            "one source only: the table tells how many. The smallest countries are in the table alone.",
            count=t.number(len(figures.countries)),
        ),
        drawn,
        pd.DataFrame(rows, columns=columns),
        figures.model,
        t,
    )


def render_figure(
    title: str, sentence: str, figure: go.Figure | None, table: pd.DataFrame, key: str, t: Translator
) -> None:
    """Draw one figure with its sentence and its table; the sentence and the table alone where there is no figure.

    Args:
        title: Title, a question or a noun phrase.
        sentence: What the figure shows.
        figure: The figure, or None.
        table: The numbers behind it.
        key: Distinguishes figures with the same title.
        t: Language of the reader.
    """
    st.markdown(f"#### {title}")
    if figure is not None:
        config = {"displaylogo": False, "modeBarButtons": [["toImage"]]}
        st.plotly_chart(figure, theme=None, key=f"figure-{key}-{title}", config=config, alt=f"{title} {sentence}")
    st.caption(sentence)
    with st.expander(t("Table")):
        whole = st.column_config.NumberColumn(format="localized")
        numbers = dict.fromkeys(table.select_dtypes("integer").columns, whole)
        st.dataframe(table, hide_index=True, column_config=numbers)
