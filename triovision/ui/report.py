"""Download of the report of a photo, with the choice of the camera facts in it."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from triovision.photo.names import file_stem
from triovision.photo_report import FACTS, Report, report_page
from triovision.prediction_texts import Fact, fact_name
from triovision.results import Explanation
from triovision.ui.evidence import evidence_text
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator


def render_report(result: PhotoResult, fitted_on: str, t: Translator) -> None:
    """Draw the choice of facts and the download button. The report is made when the button is pressed.

    Args:
        result: Photo and prediction.
        fitted_on: Photos that the model was calibrated on, as its card says.
        t: Language of the reader.
    """
    st.caption(
        t("One HTML file with photo, answer, map and bars. It needs no network. For a PDF, print it from the browser.")
    )
    facts = st.pills(
        t("Also show what the camera wrote"),
        FACTS,
        format_func=lambda fact: fact_name(fact, t),
        selection_mode="multi",
        key=f"report-{result.id}",
        persist_state="session",
    )
    chosen: frozenset[Fact] = frozenset(facts)
    explanation = _latest_explanation(result)
    if explanation is None:
        st.caption(t("Open the tab “Why” before, and the report shows the heat map too."))

    def page() -> bytes:
        report = Report(
            photo=result.photo,
            prediction=result.prediction,
            fitted_on=fitted_on,
            explanation=explanation,
            evidence=evidence_text(result.prediction, t),
            facts=chosen,
            credit=result.credit,
        )
        return report_page(report, t, datetime.now(UTC).astimezone().date()).encode()

    st.download_button(
        t("Download the report"),
        page,
        file_name=f"{file_stem(result.photo.name)}-report.html",
        mime="text/html",
        key=f"report-file-{result.id}",
        on_click="ignore",
    )


def _latest_explanation(result: PhotoResult) -> Explanation | None:
    """The heat map that the reader looked at last; None if they looked at none."""
    explanations = current().explanations
    return next((explanations[key] for key in reversed(explanations) if key.result == result.id), None)
