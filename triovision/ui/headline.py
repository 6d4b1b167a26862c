"""Headline of a result: flag, name of the area, confidence and candidates."""

from __future__ import annotations

import streamlit as st

from triovision.geo import distance_km
from triovision.prediction_texts import (
    area_sentence,
    area_title,
    candidates,
    confidence_level,
    confidence_text,
    guess_text,
    other_countries,
)
from triovision.results import Prediction
from triovision.ui.examples import Place
from triovision.ui.flags import with_flag
from triovision.ui.session import PhotoResult
from triovision.ui.translation import Translator, plain
from triovision.viz.overlays import jpeg_bytes, shown_photo


def render_headline(result: PhotoResult, fitted_on: str, t: Translator) -> None:
    """Draw the photo and, beside it, the area of its prediction and the confidence in it.

    Args:
        result: Photo and prediction.
        fitted_on: Photos that the model was calibrated on, as its card says.
        t: Language of the reader.
    """
    prediction = result.prediction
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.image(jpeg_bytes(shown_photo(result.photo)), output_format="JPEG", width="stretch", alt=result.photo.name)
        if result.credit:
            st.caption(t("Photo:") + " " + result.credit)
    with right, st.container(key="headline"):
        _render_title(prediction, fitted_on, t)
        st.write(plain(area_sentence(prediction, t), 300))
        _render_candidates(prediction, t)
        if prediction.area.kind == "country":
            st.caption(t("The map shows the best point."))
        if others := other_countries(prediction, t):
            st.caption(others)
        if result.truth:
            _render_truth(result, result.truth, t)
        st.caption(t("Model: {model}", model=plain(prediction.model)))


def title_markdown(prediction: Prediction, t: Translator) -> str:
    """Title of a prediction after the flag of its country."""
    return with_flag(prediction.area.country, plain(area_title(prediction.area, t), 160), t)


def render_confidence(prediction: Prediction, t: Translator, explanation: str | None = None) -> None:
    """Draw the badge of the confidence in the title.

    Args:
        prediction: The prediction.
        t: Language of the reader.
        explanation: Markdown that appears above the badge.
    """
    sure = confidence_level(prediction) in ("very", "fairly")
    st.badge(confidence_text(prediction, t), color="primary" if sure else "gray", help=explanation)


def _render_title(prediction: Prediction, fitted_on: str, t: Translator) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="headline-line"):
        st.header(title_markdown(prediction, t), anchor=False, width="content")
        render_confidence(prediction, t, _confidence_help(prediction, fitted_on, t))


def _confidence_help(prediction: Prediction, fitted_on: str, t: Translator) -> str:
    if prediction.calibrated:
        return t(
            "Calibrated: of 100 predictions with 80%, about 80 are right. "
            "“Very sure” starts at 90%, “fairly sure” at 50%. This holds for photos like these: {photos}.",
            photos=plain(t.of_card(fitted_on), 500),
        )
    command = f"`triovision models calibrate {prediction.model} --manifest M`"
    return t(
        "Nobody has measured how often the answers of this model are right. Calibrate it on photos with known places: "
        "{command}",
        command=command,
    )


def _render_candidates(prediction: Prediction, t: Translator) -> None:
    guesses = candidates(prediction)
    if not guesses:
        return
    for guess in guesses:
        label = plain(guess_text(guess, prediction.calibrated, t))
        st.progress(min(1.0, guess.probability), with_flag(guess.country, label, t))
    form = t("What do you know about this photo?")
    st.write(t("Do you know the continent or the country? Add it under “{form}”.", form=form))


def _render_truth(result: PhotoResult, truth: Place, t: Translator) -> None:
    place = result.prediction.place
    distance = float(distance_km(truth.lat_deg, truth.lon_deg, place.lat_deg, place.lon_deg))
    st.write(
        t("True place: {place}. The best point is {distance} away.", place=t(truth.name.id), distance=t.km(distance))
    )
