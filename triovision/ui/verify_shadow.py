"""Form of a shadow: the sun's height from its length, and the band of the Earth where that fits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import streamlit as st

from triovision.errors import EvidenceError
from triovision.geo import Evidence, ShadowBand, height_from_shadow_deg
from triovision.geo.sun import FIRST_YEAR, LAST_YEAR
from triovision.ui.evidence import apply
from triovision.ui.messages import report
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator

if TYPE_CHECKING:
    from triovision.inference import GeoModel
    from triovision.inference.card import Calibration


def render_shadow_form(
    result: PhotoResult, claimed_at: datetime | None, model: GeoModel, t: Translator
) -> ShadowBand | None:
    """Draw the fields of a shadow, and a button that takes the band as evidence.

    Args:
        result: Photo and prediction.
        claimed_at: Claimed time with its offset, which fills in the time.
        model: Model of the prediction.
        t: Language of the reader.

    Returns:
        The band, or None while a field is empty or wrong.
    """
    st.caption(
        t(
            "Measure an upright object and its shadow on level ground, in the same unit. Pixels serve only where both "
            "lie at the same distance from the camera. The sun was that high only along a ring around the Earth."
        )
    )
    left, right = st.columns(2, gap="medium")
    with left:
        lengths = [
            st.number_input(label, 0.0, 1e6, value=None, **_options(result, name))
            for label, name in ((t("Height of the object"), "object"), (t("Length of its shadow"), "length"))
        ]
    with right:
        at = _render_time(result, claimed_at, t)
    with left:
        label = t("Error of that height (°)")
        tolerance_deg = st.slider(label, 0.5, 15.0, 3.0, 0.5, format="localized", **_kept(result, "error"))
    with right:
        direction_deg = st.number_input(
            t("Direction of the shadow (°), if you know it"),
            0.0,
            360.0,
            value=None,
            help=t("The compass direction it points to: 0 is north, 90 is east. It may be 20° wrong."),
            **_options(result, "direction"),
        )
    if None in lengths or at is None:
        return None
    try:
        height_deg = height_from_shadow_deg(*(float(length or 0) for length in lengths))
        band = ShadowBand(
            at=at,
            sun_height_deg=round(height_deg, 2),
            tolerance_deg=tolerance_deg,
            shadow_direction_deg=direction_deg,
        )
    except EvidenceError as error:
        st.error(report(error, t))
        return None
    st.write(t("The sun stood {height}° above the horizon.", height=t.number(height_deg, 1)))
    arguments = (result.key, band, model.card.calibration, t)
    st.button(t("Use the shadow as evidence"), key="use-shadow", on_click=_apply_shadow, args=arguments)
    return band


def _render_time(result: PhotoResult, claimed_at: datetime | None, t: Translator) -> datetime | None:
    utc = claimed_at and claimed_at.astimezone(UTC)
    if utc:  # as long as the field is empty, also where the claim came later
        for name, value in (("day", utc.date()), ("clock", utc.time().replace(second=0, microsecond=0))):
            if st.session_state.get(_key(result, name)) is None:
                st.session_state[_key(result, name)] = value
    day_column, clock_column = st.columns(2)
    day = day_column.date_input(
        t("Date in UTC"),
        value=None,
        min_value=date(FIRST_YEAR, 1, 1),
        max_value=date(LAST_YEAR, 12, 31),
        format=t.date_format,
        **_kept(result, "day"),
    )
    clock = clock_column.time_input(t("Time in UTC"), value=None, step=60, **_kept(result, "clock"))
    if isinstance(day, date) and isinstance(clock, time):
        return datetime.combine(day, clock, UTC)
    return None


def _apply_shadow(key: str, band: ShadowBand, calibration: Calibration, t: Translator) -> None:
    evidence = current().results[key].prediction.evidence
    together = replace(evidence, shadow=band) if evidence else Evidence(shadow=band)
    apply(key, together, calibration, t)


def _options(result: PhotoResult, name: str) -> dict[str, Any]:
    return _kept(result, name) | {"step": 1.0, "format": "%.2f"}


def _kept(result: PhotoResult, name: str) -> dict[str, Any]:
    return {"key": _key(result, name), "persist_state": "session"}


def _key(result: PhotoResult, name: str) -> str:
    return f"known-shadow-{result.key}-{name}"
