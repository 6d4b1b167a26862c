"""Evidence that restricts a prediction: its description, the form, and the buttons that apply and remove it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from triovision.errors import EvidenceError
from triovision.geo import Box, Evidence, ShadowBand, continent_name, country_name
from triovision.ui.evidence_fields import (
    EDGES,
    clear_fields,
    clue_label,
    clue_text,
    field_key,
    read_evidence,
    render_fields,
)
from triovision.ui.messages import report
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference import GeoModel
    from triovision.inference.card import Calibration
    from triovision.results import Prediction


def render_evidence(result: PhotoResult, t: Translator) -> None:
    """Draw the evidence that the prediction is restricted to, and a button that removes it."""
    if result.prediction.evidence is None:
        return
    text = plain(evidence_text(result.prediction, t), 500)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(text)
        st.button(t("Remove the restriction"), key=f"remove-{result.key}", on_click=remove, args=(result.key,))


def evidence_text(prediction: Prediction, t: Translator) -> str:
    """Sentences about the evidence that a prediction is conditioned on; empty without any."""
    if prediction.evidence is None:
        return ""
    text = t("Restricted to what you know: {evidence}.", evidence=describe(prediction.evidence, t))
    if prediction.calibrated:
        probability = t.percent(prediction.evidence_probability)
        text += " " + t("Without it, the model gives this a probability of {probability}.", probability=probability)
    return text


def render_evidence_form(result: PhotoResult, model: GeoModel, t: Translator) -> None:
    """Draw the collapsed form, and the error of the last evidence that could not be applied."""
    name = f"known-{result.id}"
    error = current().evidence_errors.get(result.id)
    if error is not None:
        st.error(report(error, t))
    # The fields are drawn once it is open: a browser takes longer for them than for the rest of the answer.
    expander = st.expander(t("What do you know about this photo?"), key=f"{name}-open", on_change="rerun")
    if not expander.open:
        return
    with expander, st.form(f"{name}-form", border=False):
        render_fields(unconditioned(result).posterior, result.id, result.prediction.evidence, t)
        st.form_submit_button(t("Apply"), on_click=_apply_form, args=(result.key, model.card.calibration, t))


def render_box_button(result: PhotoResult, box: Box | None, model: GeoModel, t: Translator) -> None:
    """Draw a button that restricts the prediction to a rectangle drawn on the map."""
    if box is None:
        return
    arguments = (result.key, box, model.card.calibration, t)  # without the model, which the button would keep in memory
    if st.button(
        t("Search only inside the rectangle"), key=f"known-{result.id}-drawn", on_click=_apply_box, args=arguments
    ):
        st.rerun()  # the whole page, not only this fragment


def apply(key: str, evidence: Evidence, calibration: Calibration, t: Translator) -> None:
    """Condition the model's own prediction of a photo on evidence, or store the error if nothing is left.

    Args:
        key: Key of the photo.
        evidence: All of the evidence; it replaces the present one.
        calibration: Calibration of the model.
        t: Language of the reader.
    """
    session = current()
    result = session.results[key]
    from triovision.inference.prediction import condition  # noqa: PLC0415 - imports PyTorch, which is loaded by now

    try:
        prediction = condition(unconditioned(result), evidence, calibration)
    except EvidenceError as error:
        session.evidence_errors[result.id] = EvidenceError(describe(evidence, t), error.reason, error.remedy)
    else:
        session.evidence_errors.pop(result.id, None)
        session.results[key] = replace(result, prediction=prediction, unconditioned=unconditioned(result))


def remove(key: str) -> None:
    """Remove all evidence from a photo."""
    session = current()
    result = session.results[key]
    session.results[key] = replace(result, prediction=unconditioned(result), unconditioned=None)
    session.evidence_errors.pop(result.id, None)
    clear_fields(result.id)


def unconditioned(result: PhotoResult) -> Prediction:
    """The model's own prediction."""
    return result.unconditioned or result.prediction


def describe(evidence: Evidence, t: Translator) -> str:
    """All of the evidence in words of the reader's language."""
    parts: list[str] = []
    if evidence.continent is not None:
        parts.append(continent_name(evidence.continent, t.language))
    if evidence.country is not None:
        parts.append(country_name(evidence.country, t.language))
    if evidence.near is not None:
        radius = t.number(evidence.near.radius_km)
        parts.append(t("within {radius} km of {city}", radius=radius, city=evidence.near.name))
    if evidence.box is not None:
        edges = {edge.removesuffix("_deg"): t.number(getattr(evidence.box, edge), 2) for edge in EDGES}
        parts.append(t("between {south}° and {north}° north, {west}° and {east}° east", **edges))
    parts += [t("{kind}: {value}", kind=clue_label(clue.kind, t), value=clue_text(clue, t)) for clue in evidence.clues]
    if evidence.shadow is not None:
        parts.append(_describe_shadow(evidence.shadow, t))
    return " · ".join(parts)


def _describe_shadow(band: ShadowBand, t: Translator) -> str:
    text = t(
        "Sun {height}° high (± {tolerance}°) on {time}",
        height=t.number(band.sun_height_deg, 1),
        tolerance=t.number(band.tolerance_deg, 1),
        time=t.time(band.at),
    )
    if band.shadow_direction_deg is None:
        return text
    direction, tolerance = t.number(band.shadow_direction_deg), t.number(band.direction_tolerance_deg)
    return text + ", " + t("shadow towards {direction}° (± {tolerance}°)", direction=direction, tolerance=tolerance)


def _apply_box(key: str, box: Box, calibration: Calibration, t: Translator) -> None:
    result = current().results[key]
    for edge in EDGES:
        st.session_state[field_key(result.id, edge)] = round(getattr(box, edge), 2)
    _apply_form(key, calibration, t)


def _apply_form(key: str, calibration: Calibration, t: Translator) -> None:
    session = current()
    result = session.results[key]
    try:
        evidence = read_evidence(unconditioned(result).posterior, result.id, result.prediction.evidence)
    except EvidenceError as error:
        session.evidence_errors[result.id] = EvidenceError(t("What you know"), error.reason, error.remedy)
    else:
        apply(key, evidence, calibration, t)
