"""Compare page: one photo, all installed models side by side."""

import streamlit as st

from triovision.ui.attention_comparison import render_attention
from triovision.ui.comparison import (
    known_predictions,
    render_agreement,
    render_comparison_downloads,
    render_faults,
    render_model_headlines,
    render_places_of_models,
    render_run,
    render_shared_bars,
)
from triovision.ui.messages import report
from triovision.ui.models import installed_models
from triovision.ui.navigation import require_app_frame
from triovision.ui.translation import current_translator
from triovision.ui.upload import render_upload_and_choice
from triovision.viz.overlays import jpeg_bytes, shown_photo

require_app_frame()
t = current_translator()
st.title(t("Compare the models"), anchor=False)
result = render_upload_and_choice(t("Drop a photo to see what each installed model says about it."), t)
with st.spinner(t("Looking for models…")):
    models, faults = installed_models()
for fault in faults:
    st.error(report(fault, t))

left, right = st.columns([1, 2], gap="medium")
with left:
    st.image(jpeg_bytes(shown_photo(result.photo)), output_format="JPEG", width="stretch", alt=result.photo.name)
    if result.credit:
        st.caption(t("Photo:") + " " + result.credit)
with right:
    render_run(result, list(models), t)
    render_faults(t)
    predictions = known_predictions(result, list(models))
    render_agreement(predictions, t)
render_model_headlines(predictions, models, t)
if predictions:
    st.header(t("Places"), anchor=False)
    render_places_of_models(predictions, result.key, t)
    st.header(t("Most probable countries"), anchor=False)
    render_shared_bars(predictions, t)
    st.header(t("Attention"), anchor=False)
    render_attention(result, predictions, t)
    render_comparison_downloads(result, predictions, t)
