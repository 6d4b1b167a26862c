"""Server of TrioVision's page: `streamlit run app.py`. The page itself is `studio.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware

from triovision.ui.idle import sweep_regularly
from triovision.ui.upload_gate import UploadGate
from triovision.ui.warm_start import start_thread


@asynccontextmanager
async def lifespan(server: object) -> AsyncIterator[None]:
    """Load the model as soon as the server can answer, and sweep idle sessions until it ends."""
    start_thread()
    async with sweep_regularly(server):
        yield


app = st.App("studio.py", middleware=[Middleware(UploadGate)], lifespan=lifespan)
