"""Photos put to the model that the reader chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from triovision.results import Photo, Prediction
from triovision.ui.session import Answer, current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference import GeoModel


def ask(model: GeoModel, photo: Photo) -> Prediction:
    """A model's answer, with all countries that it knows."""
    (prediction,) = model.predict([photo], top_k=len(model.card.labels))
    return prediction


def bring_up_to_date(answers: Sequence[Answer], model: GeoModel, say: Translator) -> None:
    """Show this model's answers in place of others' and run the page again; it is asked what it was never asked."""
    others = _of_others(answers, model)
    place = st.empty()
    for number, answer in enumerate(others, start=1):
        with place:
            show_turn(number, len(others), answer.photo.name, say)
        _show(answer, model)
    if others:
        st.rerun()


def offer_the_rest(model: GeoModel, say: Translator) -> None:
    """Offer to ask the model about the photos that still have the answer of another one."""
    rest = _of_others(list(current().answers.values()), model)
    if not rest:
        return
    label = say.plural(
        "Ask this model about {number} other photo", "Ask this model about {number} other photos", len(rest)
    )
    if st.button(label, key="ask-the-rest"):
        bring_up_to_date(rest, model, say)


def show_turn(number: int, count: int, name: str, say: Translator, on_stop: Callable[[], None] | None = None) -> None:
    """Say which photo is being answered, and let the reader stop before the next."""
    with st.container(horizontal=True, vertical_alignment="center"):
        text = say("Photo {number} of {count}: {name}", number=number, count=count, name=plain(name, 40))
        st.progress((number - 1) / count, text)
        if count > 1:  # any click ends the run of the script that asks
            st.button(say("Stop"), key=f"stop-{number}", on_click=on_stop)


def _of_others(answers: Sequence[Answer], model: GeoModel) -> list[Answer]:
    return [answer for answer in answers if answer.prediction.model != model.card.id]


def _show(answer: Answer, model: GeoModel) -> None:
    session = current()
    kept = session.set_aside.get((answer.key, model.card.id))
    session.show(kept or replace(answer, prediction=ask(model, answer.photo), unconditioned=None))
