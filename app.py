"""Server of TrioVision's page: `streamlit run app.py`. The page itself is `studio.py`."""

import streamlit as st
from starlette.middleware import Middleware

from triovision.ui.idle import sweep_regularly
from triovision.ui.upload_gate import UploadGate

app = st.App("studio.py", middleware=[Middleware(UploadGate)], lifespan=sweep_regularly)
