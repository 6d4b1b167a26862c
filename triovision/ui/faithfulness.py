"""Faithfulness of an explanation for its photo: deletion and insertion curves, measured when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from triovision.errors import TrioVisionError
from triovision.geo import country_name
from triovision.results import Explanation
from triovision.ui.explanation_downloads import explanation_stem
from triovision.ui.explanation_service import faithfulness_estimate_ms, measure_faithfulness
from triovision.ui.explanation_texts import about_time
from triovision.ui.messages import render_fault
from triovision.ui.session import ExplanationKey, PhotoResult, current
from triovision.ui.step_progress import StepProgress
from triovision.ui.theme import palette
from triovision.ui.translation import Translator
from triovision.viz.explanation_figures import faithfulness_figure

if TYPE_CHECKING:
    from triovision.explain import Faithfulness
    from triovision.inference import GeoModel

_CONFIG = {"displaylogo": False, "modeBarButtons": [["toImage"]]}


def render_faithfulness(
    result: PhotoResult, model: GeoModel, key: ExplanationKey, explanation: Explanation, t: Translator
) -> None:
    """Draw the expander with the button and, once measured, the curves."""
    with st.expander(t("Is this map faithful to the model?"), on_change="rerun", key="why-faithfulness") as opened:
        if not opened.open:
            return
        st.caption(
            t(
                "The photo is hidden or shown bit by bit, the strongest places of the map first. If the map points at "
                "what the model uses, the score falls early when they are hidden and rises early when they are shown."
            )
        )
        try:
            measured = _measured(result, model, key, explanation, t)
        except TrioVisionError as error:
            render_fault(error, "why-measure-again", t)
            return
        if measured is not None:
            _draw(result, explanation, measured, t)


def _measured(
    result: PhotoResult, model: GeoModel, key: ExplanationKey, explanation: Explanation, t: Translator
) -> Faithfulness | None:
    """The cached curves, or new ones if the button is pressed."""
    session = current()
    if key in session.faithfulness:
        return session.faithfulness[key]
    place = st.empty()
    with place, st.spinner(t("Estimating the time…")):
        estimate_ms = faithfulness_estimate_ms(model)
    label = t("Measure") if estimate_ms is None else t("Measure ({time})", time=about_time(estimate_ms, t))
    if not place.button(label, key="why-measure"):
        return None
    progress = StepProgress(place, t("The model looks at changed photos…"), "why-measure-stop", t)
    progress(0.0)
    try:
        measured = measure_faithfulness(model, result.photo, explanation, progress)
    except TrioVisionError:
        place.empty()
        raise
    place.empty()
    session.faithfulness[key] = measured
    return measured


def _draw(result: PhotoResult, explanation: Explanation, measured: Faithfulness, t: Translator) -> None:
    name = country_name(explanation.country, t.language)
    if explanation.against is None:
        title = t("Probability of {country}, not calibrated", country=name)
    else:
        other = country_name(explanation.against, t.language)
        title = t("Probability of {country} rather than {other}, not calibrated", country=name, other=other)
    st.markdown(f"**{title}**")
    figure = faithfulness_figure(measured, palette(), t)
    sentence = _sentence(measured, t)
    st.plotly_chart(figure, theme=None, key="why-curves", config=_CONFIG, alt=f"{title}. {sentence}")
    st.write(sentence)
    stem = explanation_stem(result.photo.name, explanation)
    st.download_button(
        t("Curves (CSV)"),
        lambda: curves_csv(measured),
        f"{stem}-faithfulness.csv",
        "text/csv",
        on_click="ignore",
    )


def _sentence(measured: Faithfulness, t: Translator) -> str:
    """The areas under the curves, and what they say about the map."""
    return " ".join(
        (
            t(
                "Area under the deletion curve: {map}, in random order {random}; a faithful map has the lower one.",
                map=t.number(measured.deletion_auc, 2),
                random=t.number(measured.random_deletion_auc, 2),
            ),
            t(
                "Area under the insertion curve: {map}, in random order {random}; a faithful map has the higher one.",
                map=t.number(measured.insertion_auc, 2),
                random=t.number(measured.random_insertion_auc, 2),
            ),
            t(
                "Insertion is the better judge: a random order spoils the texture everywhere at once, so that its "
                "deletion falls fast too."
            ),
        )
    )


def curves_csv(measured: Faithfulness) -> bytes:
    """Write the curves as a table with one row per fraction of the photo."""
    curves = {
        name: getattr(measured, name)
        for name in ("fraction", "deletion", "insertion", "random_deletion", "random_insertion")
    }
    table: str = pd.DataFrame(curves).to_csv(index=False, float_format="%.6g")
    return table.encode()
