"""The tab of facts: the file, the camera, the model and its card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import streamlit as st

from triovision.ui.downloads import file_stem
from triovision.ui.reports import in_words
from triovision.ui.session import Answer, current
from triovision.ui.translation import Translator, plain
from triovision.viz import percent

if TYPE_CHECKING:
    from triovision.inference import GeoModel, ModelCard


def show_details(answer: Answer, model: GeoModel, say: Translator) -> None:
    """Draw all that is known of the photo's file and of the model, and offer the prediction as JSON."""
    for warning in answer.photo.warnings:
        st.warning(plain(in_words(warning, say), 300))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(say("Photo"), anchor=False)
        _facts(_photo_facts(answer, say))
        st.subheader(say("This prediction"), anchor=False)
        _facts(_prediction_facts(answer, say))
        _downloads(answer, say)
    with right:
        st.subheader(say("Model"), anchor=False)
        show_card(model.card, say)


def show_card(card: ModelCard, say: Translator) -> None:
    """Draw a model card: what the model is, knows and cannot do, and how well it did."""
    st.write(plain(card.summary, 1000))
    st.write(f"**{say('Limits')}**. {plain(card.limits, 4000)}")
    with st.expander(say("What it knows")):  # a long list of countries and places
        st.write(plain(card.knows, 20_000))
    learnt = say("Training photos") if card.ensemble is None else say("Photos that its members are weighed on")
    _facts(
        {
            say("Id"): card.id,
            say("Countries"): say.number(len(card.labels)),
            learnt: say.number(card.provenance.photos),
            say("Not sure below"): percent(card.calibration.abstention_threshold, say.language),
            say("Licence"): card.licence,
        }
    )
    for photos, figures in card.metrics.items():
        with st.expander(say("Measured on: {photos}", photos=plain(photos.replace("_", " ")))):
            _facts({name.replace("_", " "): _figure(value, say) for name, value in figures.items()})


def _photo_facts(answer: Answer, say: Translator) -> dict[str, str]:
    photo, camera = answer.photo, answer.photo.camera
    size = f"{say.number(photo.original_width_px)} x {say.number(photo.original_height_px)} px"
    facts = {
        say("File"): photo.name,
        say("Format"): photo.format,
        say("Size"): size,
        say("Taken"): say.taken_at(camera),
        say("Camera"): camera.camera,
        say("Position in the file"): camera.position and "{:.5f}°, {:.5f}°".format(*camera.position),
    }
    return {name: fact or say("not in the file") for name, fact in facts.items()}


def _prediction_facts(answer: Answer, say: Translator) -> dict[str, str]:
    prediction, place = answer.prediction, answer.prediction.place
    return {
        say("Best place"): f"{place.name} ({place.lat_deg:.3f}°, {place.lon_deg:.3f}°)",
        say("Radius that holds half"): f"{say.number(prediction.radius_km)} km",
        say("Radius that holds 90 %"): f"{say.number(prediction.radius_90_km)} km",
        say("Decoding the file"): f"{say.number(answer.decode_ms, 1)} ms",
        say("Asking the model"): f"{say.number(prediction.elapsed_ms, 1)} ms",
        say("Device"): f"{prediction.device}, {prediction.precision}",
    }


def _downloads(answer: Answer, say: Translator) -> None:
    answers = list(current().answers.values())
    with st.container(horizontal=True):
        st.download_button(
            say("This prediction (JSON)"),
            json.dumps(answer.prediction.to_dict(), ensure_ascii=False, indent=2),
            file_name=f"{file_stem(answer.photo.name)}.json",
            mime="application/json",
            on_click="ignore",
        )
        if len(answers) > 1:
            st.download_button(
                say("All predictions (JSON Lines)"),
                "".join(json.dumps(one.prediction.to_dict(), ensure_ascii=False) + "\n" for one in answers),
                file_name="predictions.jsonl",
                mime="application/jsonl",
                on_click="ignore",
            )


def _facts(facts: dict[str, str]) -> None:
    st.table({plain(name): plain(fact, 200) for name, fact in facts.items()}, border="horizontal")


def _figure(value: float | None, say: Translator) -> str:
    if value is None:
        return "-"
    return say.number(value, 0 if float(value).is_integer() else 3)
