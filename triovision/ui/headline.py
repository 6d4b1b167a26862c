"""Headline of a result: flag, country, place and confidence."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from triovision.geo import country_flag, country_name
from triovision.guesses import CountryGuess
from triovision.results import Prediction
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain
from triovision.viz import percent, shown_photo

VERY_SURE, FAIRLY_SURE = 0.9, 0.5  # calibrated probabilities: wrong at most once in ten, and once in two

ConfidenceLevel = Literal["very", "fairly", "not"]


def confidence_level(prediction: Prediction) -> ConfidenceLevel:
    """Confidence in the most probable country: "very", "fairly" or "not". An abstention is always "not"."""
    probability = prediction.countries[0].probability
    if prediction.abstained or probability < FAIRLY_SURE:
        return "not"
    return "very" if probability >= VERY_SURE else "fairly"


def render_photo_choice(t: Translator) -> PhotoResult:
    """Draw the choice between several photos and return the chosen one. The session must hold at least one."""
    results = current().results
    if len(results) == 1:
        return next(iter(results.values()))
    if st.session_state.get("shown") not in results:
        st.session_state["shown"] = next(reversed(results))
    key = st.pills(
        t.plural("{number} photo", "{number} photos", len(results)),
        list(results),
        format_func=lambda key: _short(results[key]),
        key="shown",
        required=True,
        persist_state="session",
    )
    return results[key or next(iter(results))]


def render_headline(result: PhotoResult, t: Translator) -> None:
    """Draw the photo and, beside it, country, place and confidence of its prediction."""
    prediction = result.prediction
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="center")
    with left:
        st.image(shown_photo(result.photo), output_format="JPEG", width="stretch", alt=result.photo.name)
        if result.credit:
            st.caption(t("Photo:") + " " + result.credit)
    with right, st.container(key="headline"):
        if prediction.abstained:
            _render_not_sure(prediction, t)
        else:
            _render_place(prediction, t)
        st.caption(t("Model: {model}", model=plain(prediction.model)))


def guess_label(guess: CountryGuess, t: Translator) -> str:
    """A country with its flag, name and probability."""
    name = country_name(guess.country, t.language)
    return f"{country_flag(guess.country)} {name} ({percent(guess.probability, t.language)})"


def _render_place(prediction: Prediction, t: Translator) -> None:
    guess, place = _first(prediction), plain(prediction.place.name)
    name = country_name(guess.country, t.language)
    _render_title(f"{country_flag(guess.country)} {plain(name)} · {place}", prediction, t)
    radius = t.number(prediction.radius_km)
    st.write(t("Half of the probability lies within {radius} km of {place}.", radius=radius, place=place))
    _render_country_set(prediction, t)


def _render_not_sure(prediction: Prediction, t: Translator) -> None:
    _render_title(t("Not sure where this is"), prediction, t)
    st.write(t("The model does not recognise enough in this photo. The most probable countries are:"))
    st.write(" · ".join(guess_label(guess, t) for guess in prediction.countries[:3]))


def _render_title(text: str, prediction: Prediction, t: Translator) -> None:
    level = confidence_level(prediction)
    label = {"very": t("Very sure"), "fairly": t("Fairly sure"), "not": t("Not sure")}[level]
    probability = percent(_first(prediction).probability, t.language)
    with st.container(horizontal=True, vertical_alignment="center", key="headline-line"):
        st.header(text, anchor=False, width="content")
        st.badge(
            f"{label} · {probability}",
            color="gray" if level == "not" else "primary",
            help=t(
                "Calibrated: of 100 predictions with 80 %, about 80 are right. "
                "“Very sure” starts at 90 %, “fairly sure” at 50 %."
            ),
        )


def _render_country_set(prediction: Prediction, t: Translator) -> None:
    others = [country_name(country, t.language) for country in prediction.country_set[1:6]]
    if not others:
        return
    more = len(prediction.country_set) - 1 - len(others)
    names = ", ".join(others) + (" " + t.plural("and {number} more", "and {number} more", more) if more else "")
    st.caption(t("It could also be: {names}.", names=names))


def _short(result: PhotoResult) -> str:
    return f"{country_flag(_first(result.prediction).country)} {plain(result.photo.name, 24)}"


def _first(prediction: Prediction) -> CountryGuess:
    return prediction.countries[0]
