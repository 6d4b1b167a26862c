"""Fusion in time and corrected positions of a collection: by hand, from another photo, from a GPX track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import streamlit as st

from triovision.collections.entries import CorrectedPosition
from triovision.collections.fusion import fuse
from triovision.collections.tracks import Track, position_at, read_track
from triovision.errors import CollectionError
from triovision.ui.collection_state import Corrections, collection
from triovision.ui.messages import report
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference.card import Calibration


def render_fusion(calibration: Calibration, t: Translator) -> None:
    """Draw the switch that lets photos of one hour sharpen each other, and apply it."""
    found = collection()
    wanted = st.toggle(
        t("Photos taken within an hour help each other"),
        key="collection-fusion",
        help=t(
            "Assumes that whoever took them moved at most 80 km/h, with one chance in ten of a flight or a wrong "
            "clock. All neighbours together count as one more photo. How well the percentages hold then was not "
            "measured."
        ),
    )
    if wanted:
        if found.fused_of != found.fusion_key:
            with st.spinner(t("Comparing photos in time…")):
                found.replace_entries(fuse(list(found.entries.values()), calibration))
            found.fused_of = found.fusion_key
        count = sum(entry.fused is not None for entry in found.entries.values())
        st.caption(
            t.plural("{number} photo has a neighbour in time.", "{number} photos have neighbours in time.", count)
        )
    elif found.fused_of is not None:
        found.replace_entries([replace(entry, fused=None) for entry in found.entries.values()])
        found.fused_of = None


def render_corrections(chosen: Sequence[str], t: Translator) -> None:
    """Draw the ways to correct positions. Those by hand and from another photo act on the chosen photos.

    Args:
        chosen: Keys of the chosen photos.
        t: Language of the reader.
    """
    found = collection()
    with st.expander(t("Correct positions"), key="collection-correct"):
        if not chosen:
            st.caption(t("Choose photos in the first column of the table to correct them."))
        by_hand, from_photo, from_track = st.columns(3, gap="medium")
        with by_hand:
            _render_by_hand(chosen, t)
        with from_photo:
            _render_from_photo(chosen, t)
        with from_track:
            _render_from_track(t)
        st.button(
            t("Undo the last correction"), key="collection-undo", disabled=not found.undo, on_click=found.undo_last
        )


def _render_by_hand(chosen: Sequence[str], t: Translator) -> None:
    st.markdown("**" + t("By hand") + "**")
    lat_deg = st.number_input(t("Latitude"), -90.0, 90.0, value=None, key="collection-lat", format="%.5f")
    lon_deg = st.number_input(t("Longitude"), -180.0, 180.0, value=None, key="collection-lon", format="%.5f")
    position = None if lat_deg is None or lon_deg is None else CorrectedPosition(lat_deg, lon_deg, "hand")
    ready = bool(chosen) and position is not None
    if st.button(t("Set this position"), key="collection-set", disabled=not ready):
        _correct(dict.fromkeys(chosen, position))
    if st.button(t("Remove corrections"), key="collection-uncorrect", disabled=not chosen):
        _correct(dict.fromkeys(chosen))


def _render_from_photo(chosen: Sequence[str], t: Translator) -> None:
    st.markdown("**" + t("From another photo") + "**")
    names = {key: plain(entry.name, 60) for key, entry in collection().entries.items() if key not in chosen}
    source = st.selectbox(
        t("Photo"),
        list(names),
        index=None,
        format_func=names.__getitem__,
        key="collection-source",
        placeholder=t("Choose"),
    )
    ready = bool(chosen) and source is not None
    if st.button(t("Copy its position"), key="collection-copy", disabled=not ready) and source is not None:
        entry = collection().entries[source]
        lat_deg, lon_deg = entry.camera.position or entry.position
        _correct(dict.fromkeys(chosen, CorrectedPosition(lat_deg, lon_deg, "neighbour")))


def _render_from_track(t: Translator) -> None:
    st.markdown("**" + t("From a GPX track") + "**")
    upload = st.file_uploader("GPX", type="gpx", key="collection-track", max_upload_size=30)
    hours = st.number_input(
        t("Clock of the camera, hours ahead of UTC"), -14.0, 14.0, 0.0, 0.5, key="collection-offset", format="%.1f"
    )
    minutes = st.number_input(t("Longest gap in the track, minutes"), 1, 600, 10, key="collection-gap")
    if upload is None:
        return
    try:
        track = read_track(upload.getvalue(), upload.name)
    except CollectionError as error:
        st.error(report(error, t))
        return
    positions = _positions(track, timedelta(minutes=minutes), timedelta(hours=hours))
    st.caption(t.plural("{number} photo was taken along it.", "{number} photos were taken along it.", len(positions)))
    if st.button(t("Use the track"), key="collection-use-track", disabled=not positions):
        _correct(positions)


def _positions(track: Track, max_gap: timedelta, offset: timedelta) -> Corrections:
    found: Corrections = {}
    for key, entry in collection().entries.items():
        if entry.camera.taken_at is not None:
            position = position_at(track, entry.camera.taken_at, max_gap, offset)
            if position is not None:
                found[key] = position
    return found


def _correct(positions: Corrections) -> None:
    collection().correct(positions)
    st.rerun()
