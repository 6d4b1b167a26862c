"""Fields of the evidence form: continent, country, city, box and clues."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from triovision.errors import EvidenceError, Message
from triovision.geo import (
    CLUE_KINDS,
    Box,
    Clue,
    ClueKind,
    Evidence,
    Near,
    WeightedPlaces,
    clue_name,
    continent_code,
    continent_name,
    countries_of_clues,
    country_name,
)

if TYPE_CHECKING:
    from triovision.ui.translation import Translator

EDGES: Final = {"south_deg": 90.0, "north_deg": 90.0, "west_deg": 180.0, "east_deg": 180.0}
_NEAR_KM: Final = 50.0
_EDGE_PX: Final = 140  # two of them side by side on a phone
_SEVERAL: Final[tuple[ClueKind, ...]] = ("language", "script", "currency")
"""Kinds of which one photo may show more than one."""
_NAMED_COUNTRIES: Final = 2
_NAMES: Final = ("continent", "country", "city", "radius_km", *EDGES, *CLUE_KINDS)


def field_key(result_id: str, name: str) -> str:
    """Widget key of a field."""
    return f"known-{result_id}-{name}"


def render_fields(places: WeightedPlaces, result_id: str, evidence: Evidence | None, t: Translator) -> None:
    """Draw the fields, filled in from the evidence: a language switch or another page empties them.

    Args:
        places: Posterior of the model alone; its countries and cities are the options.
        result_id: Id of the photo and model.
        evidence: Evidence of the prediction.
        t: Language of the reader.
    """
    _fill_in(places, result_id, evidence)
    countries = list(places.by_country())
    left, right = st.columns(2, gap="medium")
    with left:
        _render_countries(countries, result_id, t)
    with right:
        _render_city(places, result_id, t)
    st.caption(t("Or inside a box, in degrees: fill it in here, or draw a rectangle on the map."))
    labels = (t("South"), t("North"), t("West"), t("East"))
    with st.container(horizontal=True):
        for label, (edge, most) in zip(labels, EDGES.items(), strict=True):
            options: dict[str, Any] = {
                "key": field_key(result_id, edge),
                "step": 1.0,
                "format": "%.2f",
                "width": _EDGE_PX,
            }
            st.number_input(label, -most, most, value=None, **options)
    st.caption(t("Or what you see in it:"))
    for column, kinds in zip(st.columns(2, gap="medium"), (CLUE_KINDS[::2], CLUE_KINDS[1::2]), strict=True):
        with column:
            for kind in kinds:
                _render_clue(kind, frozenset(countries), result_id, t)


def clue_label(kind: ClueKind, t: Translator) -> str:
    """Name of a kind of clue."""
    return {
        "language": t("Language on signs"),
        "script": t("Script on signs"),
        "driving_side": t("Side of the road"),
        "calling_code": t("Calling code"),
        "currency": t("Currency"),
        "internet_ending": t("Ending of internet addresses"),
    }[kind]


def clue_text(clue: Clue, t: Translator) -> str:
    """Value of a clue in the reader's language."""
    if clue.kind == "driving_side":
        return t("cars drive on the left") if clue.value == "left" else t("cars drive on the right")
    return clue_name(clue, t.language)


def read_evidence(places: WeightedPlaces, result_id: str, evidence: Evidence | None) -> Evidence:
    """Evidence of the fields, with the shadow of the present evidence.

    Raises:
        EvidenceError: If all fields are empty, or a box has not all edges.
    """
    values = {name: st.session_state.get(field_key(result_id, name)) for name in _NAMES}
    edges = {edge: float(degrees) for edge in EDGES if (degrees := values[edge]) is not None}
    if 0 < len(edges) < len(EDGES):
        reason = Message("a box has four edges")
        raise EvidenceError("box", reason, Message("Fill in all four edges, or none"))
    city, near = values["city"], None
    if city is not None:
        near = Near(
            name=places.names[city],
            lat_deg=float(places.lat_deg[city]),
            lon_deg=float(places.lon_deg[city]),
            radius_km=float(values["radius_km"] or _NEAR_KM),
        )
    clues = []
    for kind in CLUE_KINDS:
        chosen = values[kind] or []
        clues += [Clue(kind, value) for value in ([chosen] if isinstance(chosen, str) else chosen)]
    return Evidence(
        continent=values["continent"],
        country=values["country"],
        box=Box(**edges) if edges else None,
        near=near,
        clues=tuple(clues),
        shadow=evidence.shadow if evidence else None,
    )


def clear_fields(result_id: str) -> None:
    """Forget the content of the fields; the next drawing fills them in from the evidence."""
    for name in _NAMES:
        st.session_state.pop(field_key(result_id, name), None)


def _render_countries(countries: list[str], result_id: str, t: Translator) -> None:
    language = t.language
    continents = sorted({continent_code(code) for code in countries}, key=lambda code: continent_name(code, language))
    st.selectbox(
        t("Continent"),
        continents,
        index=None,
        format_func=lambda code: continent_name(code, language),
        key=field_key(result_id, "continent"),
        placeholder=t("I do not know"),
    )
    st.selectbox(
        t("Country"),
        sorted(countries, key=lambda code: country_name(code, language)),
        index=None,
        format_func=lambda code: country_name(code, language),
        key=field_key(result_id, "country"),
        placeholder=t("I do not know"),
    )


def _render_city(places: WeightedPlaces, result_id: str, t: Translator) -> None:
    st.selectbox(
        t("Near the city"),
        sorted(range(len(places.names)), key=lambda i: places.names[i]),
        index=None,
        format_func=lambda i: f"{places.names[i]}, {country_name(str(places.countries[i]), t.language)}",
        key=field_key(result_id, "city"),
        placeholder=t("I do not know"),
    )
    label = t("Largest distance from it (km)")
    st.number_input(label, 1.0, 20_000.0, key=field_key(result_id, "radius_km"), step=10.0, format="%.0f")


def _render_clue(kind: ClueKind, countries: frozenset[str], result_id: str, t: Translator) -> None:
    """Draw the field of one kind, with the values that leave a country of the model."""
    values = [value for value, codes in countries_of_clues(kind).items() if codes & countries]
    texts = {value: _option(Clue(kind, value), t) for value in values}
    if kind in ("language", "script", "currency"):
        values.sort(key=lambda value: texts[value].casefold())
    options: dict[str, Any] = {
        "format_func": lambda value: texts.get(value, value),
        "key": field_key(result_id, kind),
        "placeholder": t("I do not know"),
        "help": _help(kind, t),
    }
    if kind in _SEVERAL:
        st.multiselect(clue_label(kind, t), values, **options)
    else:
        st.selectbox(clue_label(kind, t), values, index=None, **options)


@cache
def _option(clue: Clue, t: Translator) -> str:
    """Text of an option; codes come with the name of their country, so that it can be searched."""
    text = clue_text(clue, t)
    if clue.kind not in ("calling_code", "internet_ending"):
        return text
    names = sorted(country_name(code, t.language) for code in clue.countries)
    more = "…" if len(names) > _NAMED_COUNTRIES else ""
    return f"{text} ({', '.join(names[:_NAMED_COUNTRIES])}{more})"


def _help(kind: ClueKind, t: Translator) -> str | None:
    if kind == "language":
        return t(
            "Keeps the countries where it is official, in all of the country or a part, or spoken by at least 10% of "
            "the people (Unicode CLDR)."
        )
    if kind == "script":
        return t("Keeps the countries where such a language is written in this script.")
    if kind == "currency":
        return t("A sign such as $ keeps every country whose money is written with it.")
    return None


def _fill_in(places: WeightedPlaces, result_id: str, evidence: Evidence | None) -> None:
    fields: dict[str, object] = dict.fromkeys(_NAMES) | {"radius_km": _NEAR_KM} | {kind: [] for kind in _SEVERAL}
    if evidence is not None:
        fields |= {"continent": evidence.continent, "country": evidence.country}
        if evidence.box is not None:
            fields |= {edge: getattr(evidence.box, edge) for edge in EDGES}
        if evidence.near is not None:
            near = evidence.near
            matches = (places.lat_deg == near.lat_deg) & (places.lon_deg == near.lon_deg)
            fields |= {"city": int(matches.argmax()), "radius_km": near.radius_km}
        for kind in CLUE_KINDS:
            values = [clue.value for clue in evidence.clues if clue.kind == kind]
            fields[kind] = values if kind in _SEVERAL else next(iter(values), None)
    for name, value in fields.items():
        st.session_state.setdefault(field_key(result_id, name), value)
