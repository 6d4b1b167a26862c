"""Loading of the default model when the server starts, before the first reader needs it.

This module must not import one that declares a component: Streamlit serves only those that a page has declared.
"""

from __future__ import annotations

import atexit
import gc
import threading
from contextlib import suppress
from importlib import import_module

import streamlit as st

from triovision.errors import ModelError, PhotoError
from triovision.photo import decoder_pool
from triovision.results import Prediction
from triovision.ui.examples import EXAMPLE
from triovision.ui.predictions import predict
from triovision.ui.service import models


@st.cache_resource(show_spinner=False)
def start_thread() -> threading.Thread:
    """Thread that loads the default model and predicts the example; one for the whole process."""
    thread = threading.Thread(target=_warm_up, name="warm start", daemon=True)
    thread.start()
    atexit.register(thread.join)  # a process that ends while PyTorch is being imported would abort
    return thread


def _warm_up() -> None:
    """Load what the first answer needs. A reader who comes meanwhile waits for the same loading, not for a second."""
    # PyTorch first, then Folium, Plotly and pandas; the first page is drawn meanwhile.

    with suppress(ModelError, PhotoError):  # the page shows it, with a remedy
        model, _ = models().default()
        # The first decoder process, forward pass, map, outlines and clues take longer than those that follow.
        prediction = predict(model, decoder_pool().read(EXAMPLE.read_bytes(), EXAMPLE.name))
        _prepare_drawing(prediction)
    # Streamlit collects garbage after each run of the page. It need not look at half a million objects that stay.
    gc.collect()
    gc.freeze()


def _prepare_drawing(prediction: Prediction) -> None:
    from triovision.geo import CLUE_KINDS, countries_of_clues  # noqa: PLC0415
    from triovision.viz.maps import prediction_map  # noqa: PLC0415
    from triovision.viz.outlines import outlines_file  # noqa: PLC0415

    import_module("triovision.photo_report")  # and with it Plotly
    prediction_map(prediction)
    outlines_file()
    for kind in CLUE_KINDS:
        countries_of_clues(kind)
