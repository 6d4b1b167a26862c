"""Models in memory, shared by all browser sessions, and the selected model of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import streamlit as st

from triovision.errors import ModelError, ModelFailure
from triovision.ui.animations import render_animation
from triovision.ui.messages import report
from triovision.ui.session import current
from triovision.ui.translation import Translator

if TYPE_CHECKING:
    from triovision.inference import GeoModel

# Two sessions with different models need no reloading; the worldwide model takes 1.2 GB.
MAX_LOADED = 2

_CPU: Final = "cpu"
#: Models that failed on another device; they run on the CPU until the server ends, for a lost GPU does not come back.
_ON_CPU: Final[set[str]] = set()

T = TypeVar("T")


@st.cache_resource(max_entries=MAX_LOADED, show_spinner=False)
def shared_model(model_id: str) -> GeoModel:
    """Load a model once for the whole process; the least recently used one is dropped when another is loaded.

    Raises:
        ModelError: If it is missing or damaged; the next call tries again.
    """
    from triovision.inference import load_model  # noqa: PLC0415 - imports PyTorch
    from triovision.inference.device import choose_device  # noqa: PLC0415

    if model_id in _ON_CPU:
        return load_model(model_id, _CPU)
    try:
        return load_model(model_id)
    except ModelFailure:
        if choose_device(None).type == _CPU:
            raise
        _ON_CPU.add(model_id)
        return load_model(model_id, _CPU)


def run_model(model: GeoModel, work: Callable[[GeoModel], T]) -> T:
    """Run a model. One that fails leaves the memory, and is tried once more on the CPU if it ran on another device.

    Args:
        model: A shared model.
        work: Function of the model, such as a prediction.

    Raises:
        ModelFailure: If it fails on the CPU.
        TrioVisionError: What `work` raises on purpose.
    """
    model_id = model.card.id
    if model_id in _ON_CPU:  # the caller may still hold the one that failed
        model = shared_model(model_id)
    try:
        return work(model)
    except ModelFailure:
        shared_model.clear(model_id)
        if set(model.devices) <= {_CPU}:
            raise
        _ON_CPU.add(model_id)
    try:
        return work(shared_model(model_id))
    except ModelFailure:
        shared_model.clear(model_id)
        raise


def selected_model() -> GeoModel:
    """Model that the reader selected, or the default model, which becomes the selected one.

    Raises:
        ModelError: If it is missing or damaged.
    """
    session = current()
    take_linked_model()
    if session.model is None:
        from triovision.inference import load_default  # noqa: PLC0415 - imports PyTorch

        model, session.fault = load_default(load=shared_model)
        session.model = model.card.id
        return model
    return shared_model(session.model)


def take_linked_model() -> None:
    """Select the model that the address of the page names, unless it is not installed or another one is selected."""
    session = current()
    if session.model is not None or session.linked_model is None:
        return
    from triovision.inference.registry import found_models  # noqa: PLC0415 - imports PyTorch

    if session.linked_model in found_models():
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
