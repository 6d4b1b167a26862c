"""The models on this machine: which one answers, what each is, and the one that can be fetched."""

import streamlit as st

from triovision.ui.models import choose_model, models_here, show_model
from triovision.ui.reports import report
from triovision.ui.translation import words
from triovision.ui.worldwide import show_installation

say = words()
st.title(say("Models"), anchor=False)
with st.spinner(say("Looking for models…")):
    models, faults = models_here()
for fault in faults:
    st.error(report(fault, say))
choose_model(models, say)
st.caption(
    say(
        "A photo that has an answer is put to another model when you come back to it. Both answers are kept, each with "
        "what you said of the photo."
    )
)

st.header(say("The worldwide model"), anchor=False)
show_installation(say)

st.header(say("What they are"), anchor=False)
for model in models.values():
    show_model(model, say)
