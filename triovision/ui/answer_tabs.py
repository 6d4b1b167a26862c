"""Tabs of an answer: map, probabilities, explanation and details."""

from __future__ import annotations

import streamlit as st

from triovision.ui.address import write_address
from triovision.ui.details import render_details
from triovision.ui.evidence import render_box_button
from triovision.ui.explanation import render_explanation
from triovision.ui.leaflet import render_map
from triovision.ui.probabilities import render_probabilities
from triovision.ui.service import model_by_id
from triovision.ui.session import PhotoResult
from triovision.ui.translation import Translator


@st.fragment
def render_answer_tabs(result: PhotoResult, t: Translator) -> None:
    """Draw the open tab. A click inside reruns only this fragment, and runs no model again."""
    model = model_by_id(result.prediction.model, t)
    labels = [t("Map"), t("Probabilities"), t("Why"), t("Details")]
    if st.session_state.get("tab") not in labels:  # another language, or back from another page
        st.session_state["tab"] = labels[st.session_state.get("tab-number", 0)]
    tabs = map_tab, charts_tab, explanation_tab, details_tab = st.tabs(labels, key="tab", on_change="rerun")
    st.session_state["tab-number"] = [bool(tab.open) for tab in tabs].index(True)
    write_address()
    with map_tab:  # always drawn, so that the map keeps its zoom while another tab is open
        box = render_map(result.prediction, result.photo.camera, t, key=f"map-{result.id}")
        render_box_button(result, box, model, t)
    if charts_tab.open:
        with charts_tab:
            render_probabilities(result, model, t)
    if explanation_tab.open:
        with explanation_tab:
            render_explanation(result, model, t)
    if details_tab.open:
        with details_tab:
            render_details(result, model, t)
