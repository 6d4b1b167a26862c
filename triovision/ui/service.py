"""The one model of the process that all browser sessions share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

from triovision.errors import ModelError
from triovision.ui.reports import report
from triovision.ui.words import Words

if TYPE_CHECKING:
    from triovision.inference import GeoModel


@st.cache_resource(max_entries=1, show_spinner=False)
def shared_model() -> tuple[GeoModel, ModelError | None]:
    """The default model, loaded once for the whole process, and what is wrong with the one that it stands in for.

    Raises:
        ModelError: If its folder is missing or damaged; the next call tries again.
    """
    from triovision.inference import load_default  # noqa: PLC0415 - brings in PyTorch

    return load_default()


@contextmanager
def model_or_remedy(say: Words) -> Iterator[GeoModel]:
    """Give the shared model, or end the run with a page that says what is wrong with it and what to do."""
    try:
        with st.spinner(say("Waking up the model…")):
            model, fault = shared_model()
    except ModelError as error:
        st.error(f"{say('The model cannot be used.')}\n\n{report(error, say)}")
        st.stop()
    if fault is not None:
        st.warning(f"{say('The worldwide model cannot be used; the embedded one answers.')}\n\n{report(fault, say)}")
    yield model
