"""Main page: upload of photos, prediction, map, charts, explanation and details."""

import streamlit as st

from triovision.ui.address import write_address
from triovision.ui.details import render_details
from triovision.ui.evidence import render_box_button, render_evidence, render_evidence_form
from triovision.ui.explanation import render_explanation
from triovision.ui.film_strip import render_photo_choice
from triovision.ui.headline import render_headline
from triovision.ui.leaflet import render_map
from triovision.ui.navigation import require_app_frame
from triovision.ui.predictions import refresh_predictions, render_remaining
from triovision.ui.probabilities import render_probabilities
from triovision.ui.service import model_by_id, model_or_error, where_photos_stay
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, current_translator
from triovision.ui.upload import render_upload

require_app_frame()


@st.fragment
def render_tabs(result: PhotoResult, t: Translator) -> None:
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


t = current_translator()
st.title(t("Where was this photo taken?"), anchor=False)
if current().results:
    render_upload(t)
    result = render_photo_choice(t)
    with model_or_error(t) as model:
        refresh_predictions([result], model, t)
        render_remaining(model, t)
        render_headline(result, model.card.calibration.fitted_on, t)
        render_evidence(result, t)
        render_evidence_form(result, model, t)
    render_tabs(result, t)
else:
    st.write(t("Drop a photo: TrioVision shows the most probable countries on a map, and how sure it is."))
    with st.container(key="welcome"):
        render_upload(t)
    st.caption(where_photos_stay(t))
    with model_or_error(t) as model:  # loads it while the reader looks for a photo
        countries = t.number(len(model.card.labels))
        st.caption(
            t(
                "The model knows {count} countries. "
                "For photos of other countries it should report that it is not sure.",
                count=countries,
            )
        )
