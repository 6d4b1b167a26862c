"""Loading of the default model when the server starts, before the first reader needs it.

This module must not import one that declares a component: Streamlit serves no component that was declared before its
server exists.
"""

from __future__ import annotations

import atexit
import gc
import threading
from contextlib import suppress

import streamlit as st
from streamlit import runtime

from triovision.errors import ModelError, PhotoError
from triovision.photo import decoder_pool
from triovision.ui.examples import EXAMPLE
from triovision.ui.predictions import predict
from triovision.ui.service import models


def warm_up_once() -> None:
    """Start the loading, if this process is a server that has not begun yet; returns at once."""
    if runtime.exists() and type(runtime.get_instance()) is runtime.Runtime:  # a page under test has a mock
        start_thread()


@st.cache_resource(show_spinner=False)
def start_thread() -> threading.Thread:
    """Thread that loads the default model and predicts the example; one for the whole process."""
    thread = threading.Thread(target=_warm_up, name="warm start", daemon=True)
    thread.start()
    atexit.register(thread.join)  # a process that ends while PyTorch is being imported would abort
    return thread


def _warm_up() -> None:
    """Load what the first answer needs. A reader who comes meanwhile waits for the same loading, not for a second."""
    # These import PyTorch, Folium and pandas; the server starts meanwhile.
    from triovision.geo import CLUE_KINDS, countries_of_clues  # noqa: PLC0415
    from triovision.viz.maps import prediction_map  # noqa: PLC0415
    from triovision.viz.outlines import outlines_file  # noqa: PLC0415

    with suppress(ModelError, PhotoError):  # the page shows it, with a remedy
        model, _ = models().default()
        # The first decoder process, forward pass, map, outlines and clues take longer than those that follow.
        prediction_map(predict(model, decoder_pool().read(EXAMPLE.read_bytes(), EXAMPLE.name)))
        outlines_file()
        for kind in CLUE_KINDS:
            countries_of_clues(kind)
    # Streamlit collects garbage after each run of the page. It need not look at half a million objects that stay.
    gc.collect()
    gc.freeze()
