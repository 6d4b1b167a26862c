"""Claimed place and time of a photo: those of the file, or what somebody says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from math import radians, tan
from typing import Any

import streamlit as st

from triovision.geo import at_place, sun_position
from triovision.geo.sun import FIRST_YEAR, LAST_YEAR
from triovision.results import CameraFacts
from triovision.ui.session import PhotoResult
from triovision.ui.translation import Translator, plain

_TWILIGHT_DEG = -6.0  # civil twilight ends: without lamps a photo is dark
_LOW_DEG = 0.0
_FIELD_PX = 165  # two fields side by side on a phone


@dataclass(frozen=True, slots=True)
class Claim:
    """Place and time that a photo is said to be from.

    Attributes:
        position: `(lat_deg, lon_deg)`; None if no place is claimed.
        at: Time with its offset from UTC; None if it is not known, or cannot be told without a place.
    """

    position: tuple[float, float] | None = None
    at: datetime | None = None


def render_claim(result: PhotoResult, t: Translator) -> Claim:
    """Draw the fields of the claim, filled in from the file, and return what they hold."""
    camera = result.photo.camera
    _fill_in(result, camera)
    st.caption(
        t(
            "Filled in from the file, if it has a place and a time. Change it to check what somebody says. "
            "The time is that of the clocks at this place."
        )
    )
    with st.container(horizontal=True):
        lat_deg = st.number_input(t("Latitude (°)"), -90.0, 90.0, value=None, **_options(result, "lat"))
        lon_deg = st.number_input(t("Longitude (°)"), -180.0, 180.0, value=None, **_options(result, "lon"))
        day = st.date_input(
            t("Date"),
            value=None,
            min_value=date(FIRST_YEAR, 1, 2),
            max_value=date(LAST_YEAR, 12, 30),
            format=t.date_format,
            key=_key(result, "day"),
            persist_state="session",
            width=_FIELD_PX,
        )
        clock = st.time_input(
            t("Time"), value=None, step=60, key=_key(result, "clock"), persist_state="session", width=_FIELD_PX
        )
    position = None if lat_deg is None or lon_deg is None else (float(lat_deg), float(lon_deg))
    moment = datetime.combine(day, clock) if isinstance(day, date) and isinstance(clock, time) else None
    if position is not None:
        return Claim(position, at_place(moment, *position) if moment else None)
    offset = camera.taken_at.tzinfo if camera.taken_at else None
    return Claim(None, moment.replace(tzinfo=offset) if moment and offset else None)


def render_sun(claim: Claim, camera: CameraFacts, t: Translator) -> None:
    """Draw where the sun stood at the claimed place and time, with a warning if it had set."""
    if claim.position is None or claim.at is None:
        st.caption(t("With a place and a time, this page tells where the sun stood."))
        return
    sun, when = sun_position(*claim.position, claim.at), t.time(claim.at)
    height, direction = t.number(abs(sun.height_deg), 1), t.number(sun.azimuth_deg)
    if sun.height_deg > _LOW_DEG:
        st.write(
            t(
                "On {time}, the sun stood {height}° above the horizon, in the direction {direction}° "
                "(0 is north, 90 is east). Shadows pointed to {shadow}°, {length} times as long as their objects.",
                time=when,
                height=height,
                direction=direction,
                shadow=t.number((sun.azimuth_deg + 180) % 360),
                length=t.number(1 / tan(radians(sun.height_deg)), 1),
            )
        )
    else:
        text = t("On {time}, the sun was {height}° below the horizon.", time=when, height=height)
        if sun.height_deg > _TWILIGHT_DEG:
            text += " " + t("It was twilight: no shadow can be the sun's.")
        else:
            text += " " + t("It was night: a photo in daylight cannot be from this place and time.")
        st.warning(text)
    offset = camera.taken_at.utcoffset() if camera.taken_at else None
    if offset is not None and camera.taken_at is not None and offset != claim.at.utcoffset():
        own, there = (plain(t.time(at)) for at in (camera.taken_at, claim.at))
        text = t(
            "The clock of the camera was set to another time zone: {own} in the file, {there} there.",
            own=own,
            there=there,
        )
        st.warning(text)


def _options(result: PhotoResult, name: str) -> dict[str, Any]:
    return {
        "key": _key(result, name),
        "step": 0.1,
        "format": "%.5f",
        "persist_state": "session",
        "width": _FIELD_PX,
    }


def _fill_in(result: PhotoResult, camera: CameraFacts) -> None:
    """Fill the fields from the file, once for each photo."""
    taken_at = camera.taken_at
    if taken_at is not None and not FIRST_YEAR < taken_at.year < LAST_YEAR:
        taken_at = None  # a camera whose clock was never set
    if taken_at is not None and camera.position is not None:
        taken_at = at_place(taken_at, *camera.position)
    values = {
        "lat": camera.lat_deg,
        "lon": camera.lon_deg,
        "day": taken_at and taken_at.date(),
        "clock": taken_at and taken_at.time().replace(second=0, microsecond=0),
    }
    for name, value in values.items():
        st.session_state.setdefault(_key(result, name), value)


def _key(result: PhotoResult, name: str) -> str:
    return f"known-claim-{result.key}-{name}"
