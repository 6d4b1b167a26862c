"""Filters and table of a collection, with thumbnails, certainty and the verdict on camera positions."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import pandas as pd
import streamlit as st

from triovision.collections.entries import CollectionEntry
from triovision.collections.tables import certainty, country_of, is_unsure
from triovision.geo import country_name
from triovision.photo.names import clean_text
from triovision.prediction_texts import area_title
from triovision.ui.translation import Translator, relabel
from triovision.verification import VerdictKind, verify_place

_ROW_PX: Final = 56


def render_filters(entries: Sequence[CollectionEntry], t: Translator) -> list[CollectionEntry]:
    """Draw the filters and return the photos that pass all of them.

    Args:
        entries: All photos.
        t: Language of the reader.
    """
    codes = {code for entry in entries if (code := country_of(entry)) is not None}
    dates = [entry.camera.taken_at.date() for entry in entries if entry.camera.taken_at is not None]
    for key in ("collection-countries", "collection-kind"):
        relabel(key, t)
    with st.container(horizontal=True, vertical_alignment="bottom", key="collection-filters"):
        countries = st.multiselect(
            t("Countries"),
            sorted(codes, key=lambda code: country_name(code, t.language)),
            format_func=lambda code: country_name(code, t.language),
            key="collection-countries",
            placeholder=t("All"),
        )
        kinds = {"all": t("All"), "sure": t("Answered"), "unsure": t("Not sure")}
        kind = st.selectbox(t("Answers"), list(kinds), format_func=kinds.__getitem__, key="collection-kind")
        least = st.slider(t("Least probability"), 0, 100, 0, 5, format=t.percent_format, key="collection-least")
        span = _date_filter(dates, t)
    return [entry for entry in entries if _passes(entry, countries, kind, least / 100, span)]


def _date_filter(dates: Sequence[date], t: Translator) -> tuple[date, ...]:
    """First and last day; empty for all photos, with or without a date."""
    if not dates:
        return ()
    first, last = min(dates), max(dates)
    chosen: Any = st.date_input(
        t("Taken between"), [], min_value=first, max_value=last, format=t.date_format, key="collection-dates"
    )
    return tuple(chosen) if len(chosen) == 2 else ()  # one day is chosen already, the other is not yet


def _passes(
    entry: CollectionEntry, countries: Sequence[str], kind: str | None, least: float, span: tuple[date, ...]
) -> bool:
    taken, probability = entry.camera.taken_at, certainty(entry)
    return (
        (not countries or country_of(entry) in countries)
        and (kind in (None, "all") or is_unsure(entry) == (kind == "unsure"))
        and (probability is None or probability >= least)
        and (not span or (taken is not None and span[0] <= taken.date() <= span[1]))
    )


def render_table(entries: Sequence[CollectionEntry], t: Translator, key: str | None = None) -> list[str]:
    """Draw the table.

    Args:
        entries: The photos.
        t: Language of the reader.
        key: Widget key of a table whose rows can be chosen; None for one that only shows them.

    Returns:
        Keys of the chosen photos.
    """
    frame = pd.DataFrame([_row(entry, t) for entry in entries], columns=list(_columns(t)))
    settings: dict[str, Any] = {
        "hide_index": True,
        "placeholder": "",
        "alt": t("Table of the photos with their answers"),
        "row_height": _ROW_PX,
        "column_config": _columns(t),
        "height": min(520, _ROW_PX * len(entries) + 40),
    }
    if key is None:
        st.dataframe(frame, **settings)
        return []
    chosen: Any = st.dataframe(frame, key=key, on_select="rerun", selection_mode="multi-row", **settings)
    return [entries[row].key for row in chosen.selection.rows if row < len(entries)]


def _columns(t: Translator) -> dict[str, Any]:
    columns = st.column_config
    return {
        "thumbnail": columns.ImageColumn(t("Photo"), width="small"),
        "name": columns.TextColumn(t("File")),
        "country": columns.TextColumn(t("Country")),
        "answer": columns.TextColumn(t("Answer"), width="medium"),
        "probability": columns.ProgressColumn(t("Probability"), min_value=0, max_value=100, format=t.percent_format),
        "taken_at": columns.DatetimeColumn(t("Taken"), format="localized"),
        "verdict": columns.TextColumn(
            t("Camera position"),
            help=t("“Contradicts” means: outside the 90% radius and in a country outside the 90% set."),
        ),
    }


def _row(entry: CollectionEntry, t: Translator) -> dict[str, Any]:
    country = country_of(entry)
    answer = t("Corrected position") if entry.corrected else area_title(entry.answer.area, t)
    taken_at, probability = entry.camera.taken_at, certainty(entry)
    return {
        "thumbnail": "data:image/jpeg;base64," + b64encode(entry.thumbnail_jpeg).decode("ascii"),
        "name": clean_text(entry.name, 200),
        "country": "" if country is None else country_name(country, t.language),
        "answer": answer,
        "probability": None if probability is None or not entry.answer.calibrated else 100 * probability,
        "taken_at": None if taken_at is None else taken_at.replace(tzinfo=None),
        "verdict": _verdict(entry, t),
    }


def _verdict(entry: CollectionEntry, t: Translator) -> str:
    position = entry.camera.position
    if position is None:
        return t("not in the file")
    names: dict[VerdictKind, str] = {
        "agrees": t("agrees"),
        "possible": t("possible"),
        "contradicts": t("contradicts"),
        "unknown_country": t("country unknown to the model"),
        "not_sure": t("the model is not sure"),
        "uncalibrated": t("uncalibrated"),
    }
    return names[verify_place(entry.prediction, *position).kind]
