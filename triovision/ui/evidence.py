"""Evidence form: continent, country, city or box that restricts a prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from triovision.errors import EvidenceError, Message
from triovision.geo import Box, Evidence, Near, WeightedPlaces, continent_code, continent_name, country_name
from triovision.results import Prediction
from triovision.ui.messages import report
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain
from triovision.viz import percent

if TYPE_CHECKING:
    from triovision.inference import GeoModel
    from triovision.inference.card import Calibration

_EDGES = {"south_deg": 90.0, "north_deg": 90.0, "west_deg": 180.0, "east_deg": 180.0}
_NEAR_KM = 50.0


def render_evidence(result: PhotoResult, t: Translator) -> None:
    """Draw the evidence that the prediction is restricted to, and a button that removes it."""
    if result.prediction.evidence is None:
        return
    text = plain(evidence_text(result.prediction, t), 500)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(text)
        st.button(t("Remove the restriction"), key=f"remove-{result.key}", on_click=_remove, args=(result.key,))


def evidence_text(prediction: Prediction, t: Translator) -> str:
    """Sentences about the evidence that a prediction is conditioned on; empty without any."""
    if prediction.evidence is None:
        return ""
    text = t("Restricted to what you know: {evidence}.", evidence=_describe(prediction.evidence, t))
    if prediction.calibrated:
        probability = percent(prediction.evidence_probability, t.language)
        text += " " + t("Without it, the model gives this a probability of {probability}.", probability=probability)
    return text


def render_evidence_form(result: PhotoResult, model: GeoModel, t: Translator) -> None:
    """Draw the collapsed form, and the error of the last evidence that could not be applied."""
    name = f"known-{result.id}"
    error = current().evidence_errors.get(result.id)
    if error is not None:
        st.error(report(error, t))
    with (
        st.expander(t("What do you know about this photo?"), key=f"{name}-open"),
        st.form(f"{name}-form", border=False),
    ):
        _fields(_unconditioned(result).posterior, result, t)
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


def _fields(places: WeightedPlaces, result: PhotoResult, t: Translator) -> None:
    _fill_in(result)
    key, language = result.id, t.language
    countries = sorted(places.by_country(), key=lambda code: country_name(code, language))
    continents = sorted({continent_code(code) for code in countries}, key=lambda code: continent_name(code, language))
    cities = sorted(range(len(places.names)), key=lambda i: places.names[i])
    left, right = st.columns(2, gap="medium")
    unknown = t("I do not know")
    with left:
        st.selectbox(
            t("Continent"),
            continents,
            index=None,
            format_func=lambda code: continent_name(code, language),
            key=_field(key, "continent"),
            placeholder=unknown,
        )
        st.selectbox(
            t("Country"),
            countries,
            index=None,
            format_func=lambda code: country_name(code, language),
            key=_field(key, "country"),
            placeholder=unknown,
        )
    with right:
        st.selectbox(
            t("Near the city"),
            cities,
            index=None,
            format_func=lambda i: f"{places.names[i]}, {country_name(str(places.countries[i]), language)}",
            key=_field(key, "city"),
            placeholder=unknown,
        )
        st.number_input(t("Largest distance from it (km)"), 1.0, 20_000.0, key=_field(key, "radius_km"), step=10.0)
    st.caption(t("Or inside a box, in degrees: fill it in here, or draw a rectangle on the map."))
    labels = (t("South"), t("North"), t("West"), t("East"))
    for column, label, (edge, most) in zip(st.columns(4), labels, _EDGES.items(), strict=True):
        column.number_input(label, -most, most, value=None, key=_field(key, edge), step=1.0, format="%.2f")


def _fill_in(result: PhotoResult) -> None:
    """Fill the fields from the evidence of the prediction: a language switch or another page empties them."""
    evidence = result.prediction.evidence
    fields = dict.fromkeys(("continent", "country", "city", *_EDGES)) | {"radius_km": _NEAR_KM}
    if evidence is not None:
        fields |= {"continent": evidence.continent, "country": evidence.country}
        if evidence.box is not None:
            fields |= {edge: getattr(evidence.box, edge) for edge in _EDGES}
        if evidence.near is not None:
            places, near = _unconditioned(result).posterior, evidence.near
            matches = (places.lat_deg == near.lat_deg) & (places.lon_deg == near.lon_deg)
            fields |= {"city": int(matches.argmax()), "radius_km": near.radius_km}
    for name, value in fields.items():
        st.session_state.setdefault(_field(result.id, name), value)


def _apply_box(key: str, box: Box, calibration: Calibration, t: Translator) -> None:
    result = current().results[key]
    for edge in _EDGES:
        st.session_state[_field(result.id, edge)] = round(getattr(box, edge), 2)
    _apply_form(key, calibration, t)


def _apply_form(key: str, calibration: Calibration, t: Translator) -> None:
    session = current()
    result = session.results[key]
    unconditioned = _unconditioned(result)
    from triovision.inference.prediction import condition  # noqa: PLC0415 - imports PyTorch, which is loaded by now

    subject = t("What you know")
    try:
        evidence = _evidence_of_form(result.id, unconditioned.posterior)
        subject = _describe(evidence, t)
        prediction = condition(unconditioned, evidence, calibration)
    except EvidenceError as error:
        session.evidence_errors[result.id] = EvidenceError(subject, error.reason, error.remedy)
    else:
        session.evidence_errors.pop(result.id, None)
        session.results[key] = replace(result, prediction=prediction, unconditioned=unconditioned)


def _evidence_of_form(result_id: str, places: WeightedPlaces) -> Evidence:
    """Read the evidence from the fields of the form."""
    value = {
        name: st.session_state.get(_field(result_id, name)) for name in ("continent", "country", "city", "radius_km")
    }
    edges = {edge: st.session_state.get(_field(result_id, edge)) for edge in _EDGES}
    given_edges = {edge: float(degrees) for edge, degrees in edges.items() if degrees is not None}
    if 0 < len(given_edges) < len(_EDGES):
        reason = Message("a box has four edges")
        raise EvidenceError("box", reason, Message("Fill in all four edges, or none"))
    city = value["city"]
    near = None
    if city is not None:
        near = Near(
            name=places.names[city],
            lat_deg=float(places.lat_deg[city]),
            lon_deg=float(places.lon_deg[city]),
            radius_km=float(value["radius_km"] or _NEAR_KM),
        )
    return Evidence(
        continent=value["continent"],
        country=value["country"],
        box=Box(**given_edges) if given_edges else None,
        near=near,
    )


def _remove(key: str) -> None:
    session = current()
    result = session.results[key]
    session.results[key] = replace(result, prediction=_unconditioned(result), unconditioned=None)
    session.evidence_errors.pop(result.id, None)
    for name in ("continent", "country", "city", "radius_km", *_EDGES):
        st.session_state.pop(_field(result.id, name), None)


def _unconditioned(result: PhotoResult) -> Prediction:
    return result.unconditioned or result.prediction


def _describe(evidence: Evidence, t: Translator) -> str:
    parts: list[str] = []
    if evidence.continent is not None:
        parts.append(continent_name(evidence.continent, t.language))
    if evidence.country is not None:
        parts.append(country_name(evidence.country, t.language))
    if evidence.near is not None:
        radius = t.number(evidence.near.radius_km)
        parts.append(t("within {radius} km of {city}", radius=radius, city=evidence.near.name))
    if evidence.box is not None:
        edges = {edge.removesuffix("_deg"): t.number(getattr(evidence.box, edge), 2) for edge in _EDGES}
        parts.append(t("between {south}° and {north}° north, {west}° and {east}° east", **edges))
    return " · ".join(parts)


def _field(result_id: str, name: str) -> str:
    return f"known-{result_id}-{name}"
