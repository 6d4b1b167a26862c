"""Predictions with the selected model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from triovision.results import Photo, Prediction
from triovision.ui.animations import render_animation
from triovision.ui.messages import photo_or_error
from triovision.ui.service import run_model
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference import GeoModel


def predict(model: GeoModel, photo: Photo) -> Prediction:
    """Predict one photo, with the probabilities of all countries of the model; see `predict_all`."""
    (prediction,) = predict_all(model, [photo])
    return prediction


def predict_all(model: GeoModel, photos: Sequence[Photo]) -> list[Prediction]:
    """Predict photos, with the probabilities of all countries of the model.

    Raises:
        ModelFailure: If the model fails, on the CPU too.
    """
    return run_model(model, lambda one: one.predict(photos, top_k=len(one.card.labels)))


def refresh_predictions(results: Sequence[PhotoResult], model: GeoModel, t: Translator) -> None:
    """Replace predictions of other models by those of this model and rerun the page; known predictions are reused."""
    others = _of_other_models(results, model)
    placeholder = st.empty()
    for number, result in enumerate(others, start=1):
        with placeholder:
            render_progress(number, len(others), result.stored.name, t)
        with photo_or_error(t):
            _show(result, model)
    if others:
        st.rerun()


def render_remaining(model: GeoModel, t: Translator) -> None:
    """Draw a button that predicts the photos which still show the prediction of another model."""
    others = _of_other_models(list(current().results.values()), model)
    if not others:
        return
    label = t.plural(
        "Predict {number} other photo with this model", "Predict {number} other photos with this model", len(others)
    )
    if st.button(label, key="predict-others"):
        refresh_predictions(others, model, t)


def render_progress(
    number: int, count: int, name: str, t: Translator, on_stop: Callable[[], None] | None = None
) -> None:
    """Draw an animation, the number of the present photo, and a button that stops before the next one."""
    with st.container(horizontal=True, vertical_alignment="center"):
        render_animation("analysing", f"analysing-{number}")
        text = t("Photo {number} of {count}: {name}", number=number, count=count, name=plain(name, 40))
        st.progress((number - 1) / count, text)
        if count > 1:  # any click ends the running script, and with it the loop over the photos
            st.button(t("Stop"), key=f"stop-{number}", on_click=on_stop)


def _of_other_models(results: Sequence[PhotoResult], model: GeoModel) -> list[PhotoResult]:
    return [result for result in results if result.prediction.model != model.card.id]


def _show(result: PhotoResult, model: GeoModel) -> None:
    session = current()
    cached = session.cached_results.get((result.key, model.card.id))
    session.show(cached or replace(result, prediction=predict(model, result.photo), unconditioned=None))
