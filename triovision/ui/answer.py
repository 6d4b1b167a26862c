"""The answer in one line: flag, country, place and how sure, in words."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from triovision.geo import country_flag, country_name
from triovision.guesses import CountryGuess
from triovision.results import Prediction
from triovision.ui.session import Answer, current
from triovision.ui.translation import Translator, plain
from triovision.viz import percent, shown_photo

VERY_SURE, FAIRLY_SURE = 0.9, 0.5  # calibrated probabilities: wrong at most once in ten, and once in two

Sureness = Literal["very", "fairly", "not"]


def sureness(prediction: Prediction) -> Sureness:
    """How sure the model is of its first country; an abstention is always "not"."""
    probability = prediction.countries[0].probability
    if prediction.abstained or probability < FAIRLY_SURE:
        return "not"
    return "very" if probability >= VERY_SURE else "fairly"


def photo_picker(say: Translator) -> Answer:
    """Let the reader choose which of several photos is shown; there must be at least one."""
    answers = current().answers
    if len(answers) == 1:
        return next(iter(answers.values()))
    if st.session_state.get("shown") not in answers:
        st.session_state["shown"] = next(reversed(answers))
    key = st.pills(
        say.plural("{number} photo", "{number} photos", len(answers)),
        list(answers),
        format_func=lambda key: _short(answers[key]),
        key="shown",
        required=True,
        persist_state="session",
    )
    return answers[key or next(iter(answers))]


def show_answer(answer: Answer, say: Translator) -> None:
    """Draw the photo and, beside it, what the model makes of it."""
    prediction = answer.prediction
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="center")
    with left:
        st.image(shown_photo(answer.photo), output_format="JPEG", width="stretch", alt=answer.photo.name)
        if answer.credit:
            st.caption(say("Photo:") + " " + answer.credit)
    with right, st.container(key="answer"):
        if prediction.abstained:
            _say_not_sure(prediction, say)
        else:
            _say_place(prediction, say)
        st.caption(say("Answered by {model}", model=plain(prediction.model)))


def guess_words(guess: CountryGuess, say: Translator) -> str:
    """A country with its flag, name and probability."""
    name = country_name(guess.country, say.language)
    return f"{country_flag(guess.country)} {name} ({percent(guess.probability, say.language)})"


def _say_place(prediction: Prediction, say: Translator) -> None:
    guess, place = _first(prediction), plain(prediction.place.name)
    name = country_name(guess.country, say.language)
    _headline(f"{country_flag(guess.country)} {plain(name)} · {place}", prediction, say)
    radius = say.number(prediction.radius_km)
    st.write(say("Half of the probability lies within {radius} km of {place}.", radius=radius, place=place))
    _name_the_set(prediction, say)


def _say_not_sure(prediction: Prediction, say: Translator) -> None:
    _headline(say("Not sure where this is"), prediction, say)
    st.write(say("The model has seen too little that it knows. These come closest:"))
    st.write(" · ".join(guess_words(guess, say) for guess in prediction.countries[:3]))


def _headline(text: str, prediction: Prediction, say: Translator) -> None:
    level = sureness(prediction)
    label = {"very": say("Very sure"), "fairly": say("Fairly sure"), "not": say("Not sure")}[level]
    share = percent(_first(prediction).probability, say.language)
    with st.container(horizontal=True, vertical_alignment="center", key="answer-line"):
        st.header(text, anchor=False, width="content")
        st.badge(
            f"{label} · {share}",
            color="gray" if level == "not" else "primary",
            help=say(
                "Calibrated: of 100 answers given with 80 %, about 80 are right. "
                "“Very sure” starts at 90 %, “fairly sure” at 50 %."
            ),
        )


def _name_the_set(prediction: Prediction, say: Translator) -> None:
    others = [country_name(country, say.language) for country in prediction.country_set[1:6]]
    if not others:
        return
    more = len(prediction.country_set) - 1 - len(others)
    names = ", ".join(others) + (" " + say.plural("and {number} more", "and {number} more", more) if more else "")
    st.caption(say("It could also be: {names}.", names=names))


def _short(answer: Answer) -> str:
    return f"{country_flag(_first(answer.prediction).country)} {plain(answer.photo.name, 24)}"


def _first(prediction: Prediction) -> CountryGuess:
    return prediction.countries[0]
