"""TrioVision's page: `streamlit run app.py`."""

import streamlit as st

from triovision.ui.theme import apply_style
from triovision.ui.words import language_switch, words

st.set_page_config(page_title="TrioVision", page_icon="assets/icon.svg", layout="wide")
say = words()
apply_style(say)
page = st.navigation(
    [
        st.Page("pages/locate.py", title=say("Locate a photo"), default=True),
        st.Page("pages/about.py", title=say("About")),
    ],
    position="top",
)
language_switch(say)
page.run()
