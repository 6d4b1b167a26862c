"""The one model of the process that all browser sessions share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

import triovision
from triovision.errors import ModelError
from triovision.ui.reports import report
from triovision.ui.words import Words

if TYPE_CHECKING:
    from triovision.inference import GeoModel


@st.cache_resource(max_entries=1, show_spinner=False)
def shared_model() -> GeoModel:
    """The default model, loaded once for the whole process.

    Raises:
        ModelError: If its folder is missing or damaged; the next call tries again.
    """
    return triovision.load_model()


@contextmanager
def model_or_remedy(say: Words) -> Iterator[GeoModel]:
    """Give the shared model, or end the run with a page that says what is wrong with it and what to do."""
    try:
        with st.spinner(say("Waking up the model…")):
            model = shared_model()
    except ModelError as error:
        st.error(f"{say('The model cannot be used.')}\n\n{report(error, say)}")
        st.stop()
    yield model
