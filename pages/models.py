"""Models page: choice of the model, installation of the worldwide model, model cards."""

import streamlit as st

from triovision.ui.install_panel import render_installation
from triovision.ui.messages import report
from triovision.ui.models import installed_models, render_model, render_model_choice
from triovision.ui.navigation import require_app_frame
from triovision.ui.service import is_remote
from triovision.ui.translation import current_translator

require_app_frame()
t = current_translator()
st.title(t("Models"), anchor=False)
with st.spinner(t("Looking for models…")):
    models, faults = installed_models()
for fault in faults:
    st.error(report(fault, t))
render_model_choice(models, t)
st.caption(
    t("When you return to a photo after choosing another model, that model predicts it too. Both predictions are kept.")
)

if not is_remote():
    st.header(t("The worldwide model"), anchor=False)
    render_installation(t)

st.header(t("Model cards"), anchor=False)
for model in models.values():
    render_model(model, t)
