"""TrioVision's page: `streamlit run app.py`."""

import streamlit as st

from triovision.bundle import ASSETS
from triovision.ui.theme import apply_style
from triovision.ui.translation import language_switch, words

st.set_page_config(page_title="TrioVision", page_icon=str(ASSETS / "icon.svg"), layout="wide")
say = words()
apply_style(say)
# Not in a folder called `pages`: Streamlit runs the files of one by itself, without this script.
page = st.navigation(
    [
        st.Page("screens/locate.py", title=say("Locate a photo"), default=True),
        st.Page("screens/models.py", title=say("Models")),
        st.Page("screens/about.py", title=say("About")),
    ],
    position="top",
)
language_switch(say)
page.run()
