"""Height and direction of the sun, and the places on Earth where a shadow fits at an instant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import tzfpy
from astral import Observer
from astral.julian import julianday, julianday_to_juliancentury
from astral.sun import azimuth, elevation, eq_of_time, sun_declination
from numpy.typing import NDArray

from triovision.errors import EvidenceError, Message
from triovision.geo.distances import EARTH_RADIUS_KM, distance_km
from triovision.guesses import check_position

FIRST_YEAR: Final = 1901
"""First year of NOAA's formulae."""
LAST_YEAR: Final = 2099
"""Last year of NOAA's formulae."""
_SUBJECT: Final = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class SunPosition:
    """Sun as seen from a place.

    Attributes:
        height_deg: Angle above the horizon, refraction of the air included; negative at night.
        azimuth_deg: Compass direction, from true north over east (90) to 360.
    """

    height_deg: float
    azimuth_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowBand:
    """Places where the sun stood at a height, and perhaps in a direction, at one instant.

    A sun `h` degrees high stands so at all places 90° - h from the point that has it overhead: the band is a ring
    around that point, as wide as the tolerance. Refraction is left out; it is below 0.1° for a sun higher than 10°.

    Attributes:
        at: Instant, with its offset from UTC.
        sun_height_deg: Angle of the sun above the horizon, in (0, 90].
        tolerance_deg: Largest error of that angle, in [0.1, 45].
        shadow_direction_deg: Compass direction that the shadow points to, from true north over east; None if unknown.
        direction_tolerance_deg: Largest error of the direction, in [1, 180].

    Raises:
        EvidenceError: If an angle is out of its range, or the instant has no offset or lies outside of 1901 to 2099.
    """

    at: datetime
    sun_height_deg: float
    tolerance_deg: float = 3.0
    shadow_direction_deg: float | None = None
    direction_tolerance_deg: float = 20.0

    def __post_init__(self) -> None:
        """Check the angles and the instant."""
        _check_instant(self.at)
        direction = self.shadow_direction_deg
        for value, least, most, name in (
            (self.sun_height_deg, 0.01, 90.0, Message("height of the sun")),
            (self.tolerance_deg, 0.1, 45.0, Message("tolerance")),
            (0.0 if direction is None else direction, 0.0, 360.0, Message("direction of the shadow")),
            (self.direction_tolerance_deg, 1.0, 180.0, Message("tolerance")),
        ):
            if not least <= value <= most:  # NaN too
                reason = Message("the {name} must lie within {least}° and {most}°", name=name, least=least, most=most)
                raise EvidenceError(_SUBJECT, reason, Message("Correct the number"))

    def contains(self, lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """True for the positions where the sun stood so."""
        sun_lat, sun_lon = subsolar_point(self.at)
        height_deg = 90 - _degrees_apart(sun_lat, sun_lon, lat_deg, lon_deg)
        # A shadow needs a sun above the horizon, however large the tolerance.
        fits: NDArray[np.bool_] = (np.abs(height_deg - self.sun_height_deg) <= self.tolerance_deg) & (height_deg > 0)
        if self.shadow_direction_deg is not None:
            away_deg = _bearing_deg(lat_deg, lon_deg, sun_lat, sun_lon) + 180
            error_deg = np.abs((away_deg - self.shadow_direction_deg + 180) % 360 - 180)
            fits &= error_deg <= self.direction_tolerance_deg
        return fits

    def to_dict(self) -> dict[str, Any]:
        """The given fields as JSON values, the instant in UTC."""
        values: dict[str, Any] = {
            "at": self.at.astimezone(UTC).isoformat(),
            "sun_height_deg": self.sun_height_deg,
            "tolerance_deg": self.tolerance_deg,
        }
        if self.shadow_direction_deg is not None:
            values["shadow_direction_deg"] = self.shadow_direction_deg
            values["direction_tolerance_deg"] = self.direction_tolerance_deg
        return values

    def __str__(self) -> str:
        """Height of the sun and instant in UTC."""
        at = self.at.astimezone(UTC)
        return f"sun {self.sun_height_deg:.1f}° ±{self.tolerance_deg:g}° at {at:%Y-%m-%d %H:%M} UTC"


def sun_position(lat_deg: float, lon_deg: float, at: datetime) -> SunPosition:
    """Height and direction of the sun (astral, after NOAA's solar calculator), good to some hundredths of a degree.

    Args:
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.
        at: Instant, with its offset from UTC.

    Raises:
        ValueError: If the position is not on Earth.
        EvidenceError: If the instant has no offset or lies outside of 1901 to 2099.
    """
    check_position(lat_deg, lon_deg)
    _check_instant(at)
    observer, at = Observer(lat_deg, lon_deg), at.astimezone(UTC)
    return SunPosition(height_deg=elevation(observer, at), azimuth_deg=azimuth(observer, at))


def subsolar_point(at: datetime) -> tuple[float, float]:
    """`(lat_deg, lon_deg)` of the place that has the sun overhead at an instant with an offset."""
    at = at.astimezone(UTC)
    hours = at.hour + at.minute / 60 + (at.second + at.microsecond / 1e6) / 3600
    century = julianday_to_juliancentury(julianday(at))
    lon_deg = -15 * (hours - 12 + eq_of_time(century) / 60)
    return sun_declination(century), (lon_deg + 180) % 360 - 180


def height_from_shadow_deg(object_height: float, shadow_length: float) -> float:
    """Angle of the sun above a level ground, in degrees, from an upright object and its shadow in one unit.

    Raises:
        EvidenceError: If a length is no positive number.
    """
    if not (0 < object_height < math.inf and 0 < shadow_length < math.inf):
        reason = Message("its length and the height of its object must be above 0")
        raise EvidenceError(_SUBJECT, reason, Message("Correct the number"))
    return math.degrees(math.atan2(object_height, shadow_length))


def time_zone_at(lat_deg: float, lon_deg: float) -> ZoneInfo:
    """Time zone of a position; at sea the nautical zone, such as `Etc/GMT-3`.

    Raises:
        ValueError: If the position is not on Earth.
    """
    check_position(lat_deg, lon_deg)
    return ZoneInfo(tzfpy.get_tz(lon_deg, lat_deg) or "UTC")


def at_place(taken_at: datetime, lat_deg: float, lon_deg: float) -> datetime:
    """A time with the time zone of a place: a naive one is taken as that of its clocks, another is converted."""
    zone = time_zone_at(lat_deg, lon_deg)
    return taken_at.replace(tzinfo=zone) if taken_at.tzinfo is None else taken_at.astimezone(zone)


def _check_instant(at: datetime) -> None:
    if at.tzinfo is None:
        reason = Message("its time has no offset from UTC")
        raise EvidenceError(_SUBJECT, reason, Message("Give the time in UTC"))
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        reason = Message("the place of the sun is known from {first} to {last} only", first=FIRST_YEAR, last=LAST_YEAR)
        raise EvidenceError(_SUBJECT, reason, Message("Correct the date"))


def _degrees_apart(
    lat_deg: float, lon_deg: float, to_lat_deg: NDArray[np.float64], to_lon_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.degrees(distance_km(lat_deg, lon_deg, to_lat_deg, to_lon_deg) / EARTH_RADIUS_KM)


def _bearing_deg(
    lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64], to_lat_deg: float, to_lon_deg: float
) -> NDArray[np.float64]:
    """Compass direction at each position of the shortest way to one place (Snyder 1987, equation 5-4b)."""
    lat, to_lat, turn = np.radians(lat_deg), np.radians(to_lat_deg), np.radians(to_lon_deg - np.asarray(lon_deg))
    east = np.cos(to_lat) * np.sin(turn)
    north = np.cos(lat) * np.sin(to_lat) - np.sin(lat) * np.cos(to_lat) * np.cos(turn)
    return np.asarray(np.degrees(np.arctan2(east, north)))
