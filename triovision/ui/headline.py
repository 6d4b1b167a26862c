"""Headline of a result: flag, name of the area, confidence and candidates."""

from __future__ import annotations

import streamlit as st

from triovision.geo import country_name, distance_km
from triovision.guesses import CountryGuess
from triovision.results import Prediction
from triovision.ui.examples import Place
from triovision.ui.flags import with_flag
from triovision.ui.messages import translate
from triovision.ui.session import PhotoResult
from triovision.ui.translation import Translator, plain
from triovision.viz import jpeg_bytes, percent, shown_photo
from triovision.wording import area_sentence, area_title, confidence_level, confidence_name, title_probability

_CANDIDATES = 5


def render_headline(result: PhotoResult, fitted_on: str, t: Translator) -> None:
    """Draw the photo and, beside it, the area of its prediction and the confidence in it.

    Args:
        result: Photo and prediction.
        fitted_on: Photos that the model was calibrated on, as its card says.
        t: Language of the reader.
    """
    prediction = result.prediction
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="center")
    with left:
        st.image(jpeg_bytes(shown_photo(result.photo)), output_format="JPEG", width="stretch", alt=result.photo.name)
        if result.credit:
            st.caption(t("Photo:") + " " + result.credit)
    with right, st.container(key="headline"):
        _render_title(prediction, fitted_on, t)
        st.write(plain(translate(area_sentence(prediction, t.language), t), 300))
        if prediction.area.kind in ("part_of_world", "unknown"):
            _render_candidates(prediction, t)
        elif prediction.area.kind != "landmark":
            if prediction.area.kind == "country":
                st.caption(t("The map shows the best point."))
            _render_country_set(prediction, t)
        if result.truth:
            _render_truth(result, result.truth, t)
        st.caption(t("Model: {model}", model=plain(prediction.model)))


def guess_label(guess: CountryGuess, calibrated: bool, t: Translator) -> str:
    """A country with its name and, of a calibrated model, its probability: for lists that show no images."""
    label = country_name(guess.country, t.language)
    return f"{label} ({percent(guess.probability, t.language)})" if calibrated else label


def _render_title(prediction: Prediction, fitted_on: str, t: Translator) -> None:
    level, probability = confidence_level(prediction), title_probability(prediction)
    name = plain(translate(area_title(prediction.area, t.language), t), 160)
    label = translate(confidence_name(prediction), t)
    with st.container(horizontal=True, vertical_alignment="center", key="headline-line"):
        st.header(with_flag(prediction.area.country, name, t), anchor=False, width="content")
        st.badge(
            label if probability is None else f"{label} · {percent(probability, t.language)}",
            color="primary" if level in ("very", "fairly") else "gray",
            help=_confidence_help(prediction, fitted_on, t),
        )


def _confidence_help(prediction: Prediction, fitted_on: str, t: Translator) -> str:
    if prediction.calibrated:
        return t(
            "Calibrated: of 100 predictions with 80 %, about 80 are right. "
            "“Very sure” starts at 90 %, “fairly sure” at 50 %. This holds for photos like these: {photos}.",
            photos=plain(fitted_on, 500),
        )
    command = f"`triovision models calibrate {prediction.model} --manifest M`"
    return t(
        "Nobody has measured how often the answers of this model are right. Calibrate it on photos with known places: "
        "{command}",
        command=command,
    )


def _render_candidates(prediction: Prediction, t: Translator) -> None:
    for guess in prediction.countries[:_CANDIDATES]:
        label = plain(guess_label(guess, prediction.calibrated, t))
        st.progress(min(1.0, guess.probability), with_flag(guess.country, label, t))
    form = t("What do you know about this photo?")
    st.write(t("Do you know the continent or the country? Add it under “{form}”.", form=form))


def _render_country_set(prediction: Prediction, t: Translator) -> None:
    others = [country_name(country, t.language) for country in prediction.country_set[1:6]]
    if not others:
        return
    more = len(prediction.country_set) - 1 - len(others)
    names = ", ".join(others) + (" " + t.plural("and {number} more", "and {number} more", more) if more else "")
    st.caption(t("It could also be: {names}.", names=names))


def _render_truth(result: PhotoResult, truth: Place, t: Translator) -> None:
    place = result.prediction.place
    distance = float(distance_km(truth.lat_deg, truth.lon_deg, place.lat_deg, place.lon_deg))
    st.write(
        t(
            "True place: {place}. The best point is {distance} km away.",
            place=t(truth.name.id),
            distance=t.number(distance, 1 if distance < 10 else 0),
        )
    )
