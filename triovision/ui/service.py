"""The models in memory, which all browser sessions share, and the one that answers in this session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

from triovision.errors import ModelError
from triovision.ui.messages import report
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator

if TYPE_CHECKING:
    from triovision.inference import GeoModel

# Sessions that chose different models take turns without loading, and the worldwide one (1.2 GB) has one beside it.
MOST_LOADED = 2


@st.cache_resource(max_entries=MOST_LOADED, show_spinner=False)
def shared_model(model_id: str) -> GeoModel:
    """A model, loaded once for the whole process; the one used longest ago leaves memory when another comes.

    Raises:
        ModelError: If it is not here or is damaged; the next call tries again.
    """
    from triovision.inference import load_model  # noqa: PLC0415 - brings in PyTorch

    return load_model(model_id)


def selected_model() -> GeoModel:
    """The model that the reader chose, or the default one, which the session then keeps.

    Raises:
        ModelError: If it is missing or damaged.
    """
    session = current()
    if session.model is None:
        from triovision.inference import load_default  # noqa: PLC0415 - brings in PyTorch

        model, session.fault = load_default(load=shared_model)
        session.model = model.card.id
        return model
    return shared_model(session.model)


@contextmanager
def model_or_error(t: Translator) -> Iterator[GeoModel]:
    """Give the answering model, or end the run with a page that says what is wrong with it and what to do."""
    with _error_page(t):
        model = selected_model()
    fault = current().fault
    if fault is not None:
        st.warning(
            t("The worldwide model cannot be used; the embedded one is used instead.") + "\n\n" + report(fault, t)
        )
    yield model


def model_of_result(result: PhotoResult, t: Translator) -> GeoModel:
    """The model that gave an answer; without it, the run ends as in `model_or_error`."""
    with _error_page(t):
        return shared_model(result.prediction.model)


@contextmanager
def _error_page(t: Translator) -> Iterator[None]:
    try:
        with st.spinner(t("Loading the model…")):
            yield
    except ModelError as error:
        st.error(t("The model cannot be used.") + "\n\n" + report(error, t))
        st.page_link("pages/models.py", label=t("Choose another model"))
        st.stop()
