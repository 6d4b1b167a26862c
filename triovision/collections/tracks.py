"""GPX tracks, and the position of a photo from the time it was taken."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import gpxpy

from triovision.collections.entries import CorrectedPosition
from triovision.errors import CollectionError, Message
from triovision.photo.names import clean_text

MAX_TRACK_BYTES: Final = 20_000_000  # a day of one point per second is about 10 MB
_MAX_NAMESPACES: Final = 100  # gpxpy looks for each with a pattern that reads on to the next "="
_EXPORT: Final = Message("Export the track again as GPX, with times")


@dataclass(frozen=True, slots=True)
class Track:
    """Track points with times, in the order of time.

    Attributes:
        name: File name; untrusted.
        times: Time of each point, in UTC.
        lat_deg: Latitude of each point in degrees WGS 84.
        lon_deg: Longitude of each point in degrees WGS 84.
    """

    name: str
    times: tuple[datetime, ...]
    lat_deg: tuple[float, ...]
    lon_deg: tuple[float, ...]


def read_track(data: bytes, name: str) -> Track:
    """Read the track points of an untrusted GPX file.

    Tracks and segments are joined. Points without a time or off the Earth are left out. A time without an offset is
    UTC, as GPX prescribes. Entities are refused before the file is parsed.

    Args:
        data: The whole file.
        name: File name as given by the outside; only shown.

    Raises:
        CollectionError: If the file is too large, no GPX, or has no point with a time.
    """
    subject = clean_text(name, 80) or "track.gpx"
    if len(data) > MAX_TRACK_BYTES:
        most = f"{MAX_TRACK_BYTES / 1e6:g}"
        raise CollectionError(
            subject, Message("it has more than the {most} MB allowed", most=most), Message("Use a shorter track")
        )
    text = data.decode("utf-8-sig", "replace")  # the points are ASCII, whatever the encoding of the names
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE) or text.count("xmlns") > _MAX_NAMESPACES:
        reason = Message("it defines entities or too many namespaces, which a track never needs")
        raise CollectionError(subject, reason, _EXPORT)
    try:
        gpx = gpxpy.parse(text)
    except Exception as exc:  # gpxpy promises GPXException and meets odd values with others
        raise CollectionError(subject, Message("it is no GPX file, or is damaged"), _EXPORT) from exc
    points = sorted(
        (_utc(point.time), point.latitude, point.longitude)
        for track in gpx.tracks
        for segment in track.segments
        for point in segment.points
        if point.time is not None and abs(point.latitude) <= 90 and abs(point.longitude) <= 180
    )
    if not points:
        raise CollectionError(subject, Message("it has no track points with times"), _EXPORT)
    times, lat_deg, lon_deg = zip(*points, strict=True)
    return Track(name, times, lat_deg, lon_deg)


def position_at(
    track: Track, taken_at: datetime, max_gap: timedelta, utc_offset: timedelta | None = None
) -> CorrectedPosition | None:
    """Find the position on a track at the time of a photo.

    Between two points that are at most `max_gap` apart it is interpolated linearly, the short way around the Earth. In
    a longer gap, before the first point and after the last one it is that of the nearest point, if that is at most
    `max_gap` away.

    Args:
        track: The track.
        taken_at: Time of the photo.
        max_gap: Longest time to bridge.
        utc_offset: What the clock of the camera is ahead of UTC, such as two hours in a French summer; needed for a
            time without an offset and not used for one with it.

    Returns:
        The position, or None where the track knows nothing.

    Raises:
        ValueError: If `taken_at` has no offset and `utc_offset` is None.
    """
    if taken_at.tzinfo is None:
        if utc_offset is None:
            raise ValueError("`utc_offset` is needed for a `taken_at` without an offset from UTC")
        taken_at = taken_at.replace(tzinfo=UTC) - utc_offset
    after = bisect_right(track.times, taken_at)
    before = after - 1
    if before < 0 or after == len(track.times) or track.times[after] - track.times[before] > max_gap:
        near = [i for i in (before, after) if 0 <= i < len(track.times)]
        nearest = min(near, key=lambda i: abs(track.times[i] - taken_at))
        if abs(track.times[nearest] - taken_at) > max_gap:
            return None
        return CorrectedPosition(track.lat_deg[nearest], track.lon_deg[nearest], "track")
    share = (taken_at - track.times[before]) / (track.times[after] - track.times[before])
    lat_deg = track.lat_deg[before] + share * (track.lat_deg[after] - track.lat_deg[before])
    turn_deg = math.remainder(track.lon_deg[after] - track.lon_deg[before], 360)
    lon_deg = track.lon_deg[before] + share * turn_deg
    return CorrectedPosition(lat_deg, lon_deg if abs(lon_deg) <= 180 else math.remainder(lon_deg, 360), "track")


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
