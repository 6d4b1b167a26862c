"""What a file says about a photo, and the verdict on a claimed place."""

from __future__ import annotations

import streamlit as st

from triovision.geo import country_name
from triovision.prediction_texts import camera_rows
from triovision.results import Prediction
from triovision.ui.details import render_rows
from triovision.ui.session import PhotoResult
from triovision.ui.translation import Translator, plain
from triovision.verification import Verdict, verify_place


def render_file_facts(result: PhotoResult, t: Translator) -> None:
    """Draw time, camera, position and software that the file gives."""
    render_rows(camera_rows(result.photo.camera, ("taken", "camera", "position", "software"), t))
    st.caption(
        t(
            "Anyone can change these entries, and many services remove them. "
            "A missing entry says nothing about where the photo comes from."
        )
    )


def render_verdict(prediction: Prediction, claim: tuple[float, float] | None, coverage: float, t: Translator) -> None:
    """Draw the verdict on the claimed place in one sentence, and its numbers.

    Args:
        prediction: The model's own prediction.
        claim: Claimed position.
        coverage: Probability that the country set holds the true country, as the card promises.
        t: Language of the reader.
    """
    if claim is None:
        st.info(t("The file has no position. Enter the place that somebody claims, and this page compares it."))
        return
    verdict = verify_place(prediction, *claim)
    sentence = _sentence(verdict, t)
    if verdict.kind == "agrees":
        st.success(sentence)
    elif verdict.kind == "contradicts":
        st.error(sentence)
    else:
        st.info(sentence)
    st.caption(_numbers(verdict, prediction.calibrated, coverage, t))
    st.caption(t("This compares the place with the model's own answer, without what you know."))


def _sentence(verdict: Verdict, t: Translator) -> str:
    numbers = {
        "distance": t.km(verdict.distance_km),
        "radius": t.km(verdict.radius_km),
        "radius_90": t.km(verdict.radius_90_km),
        "country": _country(verdict, t),
    }
    if verdict.kind == "uncalibrated":
        return t(
            "This model is not calibrated, so that it cannot judge: the claimed place lies {distance} from its answer.",
            **numbers,
        )
    if verdict.kind == "not_sure":
        return t(
            "The model is not sure enough to say: the claimed place lies {distance} from its best guess.", **numbers
        )
    if verdict.kind == "agrees":
        return t(
            "The picture agrees with the claimed place: it lies {distance} from the predicted place, "
            "where half of the probability is within {radius} and 90% within {radius_90}.",
            **numbers,
        )
    if verdict.kind == "possible":
        return _possible(verdict, numbers, t)
    if verdict.kind == "unknown_country":
        return t(
            "The model cannot judge: it does not know {country}. "
            "The claimed place lies {distance} from the predicted place.",
            **numbers,
        )
    return t(
        "The picture contradicts the claimed place: it lies {distance} from the predicted place, outside the "
        "{radius_90} that hold 90% of the probability, and {country} is not among the probable countries.",
        **numbers,
    )


def _possible(verdict: Verdict, numbers: dict[str, str], t: Translator) -> str:
    if verdict.in_country_set:
        return t(
            "The picture does not contradict the claimed place: {country} is among the probable countries, but the "
            "place lies {distance} from the predicted one, outside the {radius_90} that hold 90% of the probability.",
            **numbers,
        )
    return t(
        "The picture does not contradict the claimed place: it lies {distance} from the predicted place, within the "
        "{radius_90} that hold 90% of the probability, but {country} is not among the probable countries.",
        **numbers,
    )


def _numbers(verdict: Verdict, calibrated: bool, coverage: float, t: Translator) -> str:
    if verdict.country is None:
        return t("The claimed place lies on the high seas, outside of all countries.")
    country = _country(verdict, t)
    if verdict.country_probability is None:
        return t("The model does not know {country}: it can never answer with it.", country=country)
    if not calibrated:
        return ""
    probability, share = t.percent(verdict.country_probability), t.percent(coverage)
    if verdict.in_country_set:
        return t(
            "The model gives {country} a probability of {probability}. "
            "It is in the set that holds the true country in {share} of the cases.",
            country=country,
            probability=probability,
            share=share,
        )
    return t(
        "The model gives {country} a probability of {probability}. "
        "It is not in the set that holds the true country in {share} of the cases.",
        country=country,
        probability=probability,
        share=share,
    )


def _country(verdict: Verdict, t: Translator) -> str:
    return t("the high seas") if verdict.country is None else plain(country_name(verdict.country, t.language))
