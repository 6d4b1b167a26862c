"""Page that shows hostile texts in every place where the app shows texts from outside."""

import pandas as pd
import streamlit as st

from tests.browser.hostile_texts import HOSTILE
from triovision.errors import PhotoError
from triovision.photo.names import clean_text
from triovision.ui.messages import report
from triovision.ui.translation import get_translator, plain

shown = [plain(text) for text in HOSTILE]
for number, text in enumerate(shown):
    st.write(text)
    st.caption(text)
    error = PhotoError(HOSTILE[number], f"is no photo ({HOSTILE[number]})", "Drop another")
    st.warning(report(error, get_translator("en")))
    st.progress(0.5, text)
    with st.expander(text):
        st.subheader(text, anchor=False)
    st.button(text, key=f"button-{number}", help=text)
st.table({name: name for name in shown}, border="horizontal")
st.selectbox(shown[0], shown)
st.radio(shown[1], shown, captions=shown)
st.dataframe(pd.DataFrame({"name": [clean_text(text, 200) for text in HOSTILE]}))
st.markdown("The page is complete.")
