"""Comparison of all installed models on one photo: run, headlines, map, bars, agreement, downloads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import streamlit as st

from triovision.agreement import (
    PairAgreement,
    comparison_csv,
    comparison_json,
    pair_agreements,
    top_countries,
)
from triovision.errors import TrioVisionError
from triovision.geo import country_name
from triovision.photo.names import file_stem
from triovision.results import Prediction
from triovision.ui.headline import render_confidence, title_markdown
from triovision.ui.leaflet import render_places
from triovision.ui.messages import report
from triovision.ui.predictions import predict
from triovision.ui.service import shared_model
from triovision.ui.session import PhotoResult, current
from triovision.ui.theme import palette
from triovision.ui.translation import Translator, plain
from triovision.viz.agreement_figures import country_bars
from triovision.viz.places_map import PIN_COLOURS, MarkedPlace

_COUNTRIES = 8
_COLUMNS = 3
_FAULTS = "compare-faults"


def known_result(result: PhotoResult, model: str) -> PhotoResult | None:
    """Result of a model for the same photo, without evidence; None before that model ran on it."""
    session = current()
    shown = session.results.get(result.key)
    found = shown if shown and shown.prediction.model == model else session.cached_results.get((result.key, model))
    if found is None or found.unconditioned is None:
        return found
    return replace(found, prediction=found.unconditioned, unconditioned=None)


def known_predictions(result: PhotoResult, models: Sequence[str]) -> list[Prediction]:
    """Predictions that the session holds for a photo, in the order of the models."""
    found = [known_result(result, model) for model in models]
    return [one.prediction for one in found if one is not None]


def model_faults() -> dict[str, TrioVisionError]:
    """Errors of the models that could not be used in the last comparison, by id."""
    faults: dict[str, TrioVisionError] = st.session_state.setdefault(_FAULTS, {})
    return faults


def render_run(result: PhotoResult, models: Sequence[str], t: Translator) -> None:
    """Draw a button that runs the models which have not predicted the photo, one after another."""
    missing = [model for model in models if known_result(result, model) is None]
    if not missing:
        return
    label = t.plural("Run {number} model on this photo", "Run {number} models on this photo", len(missing))
    if not st.button(label, type="primary", key="compare-run"):
        return
    model_faults().clear()
    placeholder = st.empty()
    for number, model in enumerate(missing, start=1):
        with placeholder, st.container(horizontal=True, vertical_alignment="center"):
            text = t("Model {number} of {count}: {model}", number=number, count=len(missing), model=plain(model))
            st.progress((number - 1) / len(missing), text)
            st.button(t("Stop"), key=f"compare-stop-{number}")  # any click ends the running script, and this loop
        _run(result, model)
    st.rerun()


def _run(result: PhotoResult, model: str) -> None:
    """Store the prediction of one model in the session, or its error."""
    try:
        prediction = predict(shared_model(model), result.photo)
    except TrioVisionError as error:
        model_faults()[model] = error
        return
    current().cached_results[result.key, model] = replace(result, prediction=prediction, unconditioned=None)


def render_faults(t: Translator) -> None:
    """Draw the errors of the models that could not be used."""
    for fault in model_faults().values():
        st.error(report(fault, t))


def render_model_headlines(predictions: Sequence[Prediction], models: Collection[str], t: Translator) -> None:
    """Draw title, confidence, place and time of each model, three beside each other."""
    for start in range(0, len(predictions), _COLUMNS):
        columns = st.columns(min(_COLUMNS, len(models)))
        for offset, (column, prediction) in enumerate(zip(columns, predictions[start:], strict=False)):
            with column, st.container(border=True):
                _render_headline(start + offset + 1, prediction, t)


def _render_headline(number: int, prediction: Prediction, t: Translator) -> None:
    st.caption(f"{number} · {plain(prediction.model)}")
    st.subheader(title_markdown(prediction, t), anchor=False)
    render_confidence(prediction, t)
    best = prediction.countries[0]
    st.write(
        t(
            "First country: {country}. Place: {place}.",
            country=plain(country_name(best.country, t.language)),
            place=plain(prediction.place.name),
        )
    )
    st.caption(
        t("{milliseconds} ms on {device}", milliseconds=t.number(prediction.elapsed_ms), device=prediction.device)
    )


def render_places_of_models(predictions: Sequence[Prediction], key: str, t: Translator) -> None:
    """Draw the places of all models on one map."""
    places = [
        MarkedPlace(
            lat_deg=prediction.place.lat_deg,
            lon_deg=prediction.place.lon_deg,
            sign=str(number),
            title=prediction.model,
            name=f"{prediction.place.name}, {country_name(prediction.place.country, t.language)}",
            colour=PIN_COLOURS[(number - 1) % len(PIN_COLOURS)],
        )
        for number, prediction in enumerate(predictions, start=1)
    ]
    render_places(places, t, key=f"compare-map-{key}")


def render_shared_bars(predictions: Sequence[Prediction], t: Translator) -> None:
    """Draw the probabilities of the countries that the models together find most probable."""
    figure = country_bars(predictions, top_countries(predictions, _COUNTRIES), palette(), t.language)
    name = t("Most probable countries")
    st.plotly_chart(figure, theme=None, key="compare-bars", config={"displayModeBar": False}, alt=name)
    if not all(prediction.calibrated for prediction in predictions):
        st.caption(t("The percentages of an uncalibrated model are scores, not how often it is right."))


def render_agreement(predictions: Sequence[Prediction], t: Translator) -> None:
    """Say whether the models name the same country, how far apart their places lie and how much they share."""
    pairs = pair_agreements(predictions)
    if not pairs:
        return
    firsts = {prediction.countries[0].country for prediction in predictions}
    if len(firsts) == 1:
        st.write(t("All models find {country} most probable.", country=country_name(firsts.pop(), t.language)))
    else:
        names = ", ".join(sorted(country_name(country, t.language) for country in firsts))
        st.write(t("The models do not agree on the country: {countries}.", countries=names))
    st.markdown("\n".join(f"- {_pair_sentence(pair, t)}" for pair in pairs))


def _pair_sentence(pair: PairAgreement, t: Translator) -> str:
    values: Mapping[str, str] = {
        "first": plain(pair.first),
        "second": plain(pair.second),
        "distance": t.km(pair.distance_km),
        "overlap": t.percent(pair.overlap),
    }
    if pair.same_country:
        return t(
            "{first} and {second} name the same country; their places lie {distance} apart, and their country "
            "probabilities have {overlap} in common.",
            **values,
        )
    return t(
        "{first} and {second} name different countries; their places lie {distance} apart, and their country "
        "probabilities have {overlap} in common.",
        **values,
    )


def render_comparison_downloads(result: PhotoResult, predictions: Sequence[Prediction], t: Translator) -> None:
    """Draw the buttons that save the comparison as JSON and CSV."""
    stem, faults = file_stem(result.photo.name), dict(model_faults())
    with st.container(horizontal=True):
        st.download_button(
            t("Comparison (JSON)"),
            lambda: comparison_json(predictions, faults),
            file_name=f"{stem}-comparison.json",
            mime="application/json",
            on_click="ignore",
        )
        st.download_button(
            t("Comparison (CSV)"),
            lambda: comparison_csv(predictions),
            file_name=f"{stem}-comparison.csv",
            mime="text/csv",
            on_click="ignore",
        )
