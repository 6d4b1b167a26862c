"""Photos put to the model that the reader chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from triovision.results import Photo, Prediction
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference import GeoModel


def predict(model: GeoModel, photo: Photo) -> Prediction:
    """A model's answer, with all countries that it knows."""
    (prediction,) = model.predict([photo], top_k=len(model.card.labels))
    return prediction


def refresh_predictions(results: Sequence[PhotoResult], model: GeoModel, t: Translator) -> None:
    """Show this model's answers in place of others' and run the page again; it is asked what it was never asked."""
    others = _of_others(results, model)
    place = st.empty()
    for number, result in enumerate(others, start=1):
        with place:
            render_progress(number, len(others), result.photo.name, t)
        _show(result, model)
    if others:
        st.rerun()


def render_remaining(model: GeoModel, t: Translator) -> None:
    """Offer to ask the model about the photos that still have the answer of another one."""
    rest = _of_others(list(current().results.values()), model)
    if not rest:
        return
    label = t.plural(
        "Predict {number} other photo with this model", "Predict {number} other photos with this model", len(rest)
    )
    if st.button(label, key="ask-the-rest"):
        refresh_predictions(rest, model, t)


def render_progress(
    number: int, count: int, name: str, t: Translator, on_stop: Callable[[], None] | None = None
) -> None:
    """Say which photo is being answered, and let the reader stop before the next."""
    with st.container(horizontal=True, vertical_alignment="center"):
        text = t("Photo {number} of {count}: {name}", number=number, count=count, name=plain(name, 40))
        st.progress((number - 1) / count, text)
        if count > 1:  # any click ends the run of the script that asks
            st.button(t("Stop"), key=f"stop-{number}", on_click=on_stop)


def _of_others(results: Sequence[PhotoResult], model: GeoModel) -> list[PhotoResult]:
    return [result for result in results if result.prediction.model != model.card.id]


def _show(result: PhotoResult, model: GeoModel) -> None:
    session = current()
    kept = session.cached_results.get((result.key, model.card.id))
    session.show(kept or replace(result, prediction=predict(model, result.photo), unconditioned=None))
