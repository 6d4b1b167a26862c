"""Models in memory, shared by all browser sessions, and the selected model of a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import streamlit as st

from triovision.errors import ModelError
from triovision.ui.animations import render_animation
from triovision.ui.messages import report
from triovision.ui.session import current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference import GeoModel
    from triovision.inference.loaded_models import LoadedModels
    from triovision.serve.remote_model import RemoteModels

#: Address of a server of predictions, which the page then uses instead of models of its own.
SERVER: Final = "TRIOVISION_SERVER"

T = TypeVar("T")


@st.cache_resource(show_spinner=False)
def models() -> LoadedModels | RemoteModels:
    """Models of this process, or those of the server that `TRIOVISION_SERVER` names; one object for all sessions."""
    if is_remote():
        from triovision.serve.remote_model import RemoteModels  # noqa: PLC0415 - httpx and PyTorch

        return RemoteModels(os.environ[SERVER])
    from triovision.inference.loaded_models import LoadedModels  # noqa: PLC0415 - imports PyTorch

    return LoadedModels()


def shared_model(model_id: str) -> GeoModel:
    """Return a model that all sessions share.

    Raises:
        ModelError: If it is missing or damaged, or its server is away; the next call tries again.
    """
    return models().get(model_id)


def run_model(model: GeoModel, work: Callable[[GeoModel], T]) -> T:
    """Run a shared model; see `LoadedModels.run`.

    Raises:
        ModelFailure: If it fails on the CPU.
        TrioVisionError: What `work` raises on purpose.
    """
    return models().run(model, work)


def is_remote() -> bool:
    """Whether the models are those of a server, which has no files here."""
    return bool(os.environ.get(SERVER))


def where_photos_stay(t: Translator) -> str:
    """Sentence on what happens to photos, as Markdown."""
    if not is_remote():
        return t("Photos stay in the memory of the computer that runs this page, and are never written to disk.")
    return t(
        "Photos stay in the memory of the computer that runs this page and of the server that predicts them, {server}, "
        "and are never written to disk.",
        server=plain(os.environ[SERVER], 100),
    )


def selected_model() -> GeoModel:
    """Model that the reader selected, or the default model, which becomes the selected one.

    Raises:
        ModelError: If it is missing or damaged.
    """
    session = current()
    take_linked_model()
    if session.model is None:
        model, session.fault = models().default()
        session.model = model.card.id
        return model
    return shared_model(session.model)


def take_linked_model() -> None:
    """Select the model that the address of the page names, unless it is not installed or another one is selected."""
    session = current()
    if session.model is not None or session.linked_model is None:
        return
    if models().has(session.linked_model):
        session.model = session.linked_model
    else:
        session.linked_model = None


@contextmanager
def model_or_error(t: Translator) -> Iterator[GeoModel]:
    """Yield the selected model; an error of it, also in the block, is shown with a remedy and ends the run."""
    with _error_page(t), _loading(t):
        model = selected_model()
    fault = current().fault
    if fault is not None:
        st.warning(
            t("The worldwide model cannot be used; the embedded one is used instead.") + "\n\n" + report(fault, t)
        )
    with _error_page(t):
        yield model


def model_by_id(model_id: str, t: Translator) -> GeoModel:
    """Model that predicted a photo or plays a game; if it cannot be loaded, the run ends as in `model_or_error`."""
    with _error_page(t), _loading(t):
        return shared_model(model_id)


@contextmanager
def _loading(t: Translator) -> Iterator[None]:
    """Spinner while a model loads, with an animation for the first one of a session."""
    with st.spinner(t("Loading the model…")):
        placeholder = st.empty()
        if current().model is None:
            with placeholder:
                render_animation("loading", "loading")
        try:
            yield
        finally:
            placeholder.empty()


@contextmanager
def _error_page(t: Translator) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        st.error(t("The model cannot be used.") + "\n\n" + report(error, t))
        st.page_link("pages/models.py", label=t("Choose another model"))
        st.stop()
