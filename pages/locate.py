"""Main page: upload of photos, prediction, map, charts, explanation and details."""

import streamlit as st

from triovision.ui.evidence import render_evidence, render_evidence_form
from triovision.ui.film_strip import render_photo_choice
from triovision.ui.headline import render_headline
from triovision.ui.navigation import require_app_frame
from triovision.ui.predictions import refresh_predictions, render_remaining
from triovision.ui.service import model_or_error, where_photos_stay
from triovision.ui.session import current
from triovision.ui.translation import current_translator
from triovision.ui.upload import render_upload

require_app_frame()

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
    from triovision.ui.answer_tabs import render_answer_tabs  # Folium and Plotly: the page appears before

    render_answer_tabs(result, t)
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
