"""Details tab: photo file, camera, prediction and model card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import streamlit as st

from triovision.photo.names import file_stem
from triovision.prediction_texts import camera_rows, place_rows
from triovision.ui.card_texts import known_countries
from triovision.ui.messages import translate
from triovision.ui.metric_names import metric_name, metric_value, split_name
from triovision.ui.report import render_report
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference import GeoModel, ModelCard


def render_details(result: PhotoResult, model: GeoModel, t: Translator) -> None:
    """Draw metadata of the photo, numbers of the prediction, downloads and model card."""
    for warning in result.photo.warnings:
        st.warning(plain(translate(warning, t), 300))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(t("Photo"), anchor=False)
        render_rows(_photo_rows(result, t))
        st.subheader(t("This prediction"), anchor=False)
        render_rows(_prediction_rows(result, t))
        _downloads(result, t)
        st.subheader(t("Report"), anchor=False)
        render_report(result, model.card.calibration.fitted_on, t)
    with right:
        st.subheader(t("Model"), anchor=False)
        render_card(model.card, t)


def render_card(card: ModelCard, t: Translator) -> None:
    """Draw a model card: summary, limits, known countries and places, training photos and metrics."""
    st.write(plain(t.of_card(card.summary), 1000))
    st.write("**" + t("Limits") + "**. " + plain(t.of_card(card.limits), 4000))
    fitted_on = t.of_card(card.calibration.fitted_on) or t("Uncalibrated")
    st.write("**" + t("Calibrated on") + "**. " + plain(fitted_on, 1000))
    with st.expander(t("Countries and places it knows")):  # a long list of countries and places
        st.write(plain(known_countries(card, t), 20_000))
    photos_label = t("Training photos") if card.ensemble is None else t("Photos used to weight its members")
    render_rows(
        {
            t("Id"): card.id,
            t("Countries"): t.number(len(card.labels)),
            photos_label: t.number(card.provenance.photos),
            t("Abstention threshold"): t.percent(card.calibration.abstention_threshold),
            t("Licence"): card.licence,
        }
    )
    for photos, metrics in card.metrics.items():
        with st.expander(t("Measured on: {photos}", photos=plain(split_name(photos, t)))):
            render_rows({metric_name(name, t): metric_value(name, value, t) for name, value in metrics.items()})


def _photo_rows(result: PhotoResult, t: Translator) -> dict[str, str]:
    photo = result.photo
    return {
        t("File"): photo.name,
        t("Format"): photo.format,
        t("Size"): f"{t.number(photo.original_width_px)} x {t.number(photo.original_height_px)} px",
    } | camera_rows(photo.camera, ("taken", "camera", "position"), t)


def _prediction_rows(result: PhotoResult, t: Translator) -> dict[str, str]:
    prediction = result.prediction
    return place_rows(prediction, t) | {
        t("Decoding the file"): f"{t.number(result.decode_ms, 1)} ms",
        t("Running the model"): f"{t.number(prediction.elapsed_ms, 1)} ms",
        t("Device"): f"{prediction.device}, {prediction.precision}",
    }


def _downloads(result: PhotoResult, t: Translator) -> None:
    results = list(current().results.values())
    with st.container(horizontal=True):
        st.download_button(
            t("This prediction (JSON)"),
            json.dumps(result.prediction.to_dict(), ensure_ascii=False, indent=2),
            file_name=f"{file_stem(result.photo.name)}.json",
            mime="application/json",
            on_click="ignore",
        )
        if len(results) > 1:
            st.download_button(
                t("All predictions (JSON Lines)"),
                "".join(json.dumps(other.prediction.to_dict(), ensure_ascii=False) + "\n" for other in results),
                file_name="predictions.jsonl",
                mime="application/jsonl",
                on_click="ignore",
            )


def render_rows(rows: dict[str, str]) -> None:
    """Draw a table of names and values, which may be untrusted."""
    st.table({plain(name): plain(value, 200) for name, value in rows.items()}, border="horizontal")
