from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from triovision.collections.tracks import MAX_TRACK_BYTES, Track, position_at, read_track
from triovision.errors import CollectionError

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def gpx(*points: str) -> bytes:
    body = "".join(f"<trkpt {point}</trkpt>" for point in points)
    return (
        '<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{body}</trkseg></trk></gpx>"
    ).encode()


def point(lat: object, lon: object, time: str) -> str:
    return f'lat="{lat}" lon="{lon}"><time>{time}</time>'


@pytest.fixture
def track() -> Track:
    """Noon at 10, 20; 12:10 at 11, 22; then a gap of two hours; 14:10 at 12, 24."""
    times = ("2024-05-06T14:10:00Z", "2024-05-06T12:00:00Z", "2024-05-06T14:10:00+02:00")
    return read_track(gpx(point(12, 24, times[0]), point(10, 20, times[1]), point(11, 22, times[2])), "walk.gpx")


def test_points_are_in_the_order_of_utc(track: Track) -> None:
    assert track.times == (NOON, NOON + 10 * MINUTE, NOON + 130 * MINUTE)
    assert (track.lat_deg, track.lon_deg) == ((10, 11, 12), (20, 22, 24))


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0, (10, 20)),
        (2.5, (10.25, 20.5)),
        (10, (11, 22)),
        (25, (11, 22)),  # in the long gap, near its start
        (26, None),
        (70, None),
        (120, (12, 24)),
        (145, (12, 24)),
        (146, None),
        (-15, (10, 20)),
        (-16, None),
    ],
)
def test_a_position_is_interpolated_and_never_invented(
    track: Track, minutes: float, expected: tuple[float, float] | None
) -> None:
    position = position_at(track, NOON + minutes * MINUTE, max_gap=15 * MINUTE)
    if expected is None:
        assert position is None
    else:
        assert position is not None
        assert (position.lat_deg, position.lon_deg) == pytest.approx(expected)
        assert position.origin == "track"


def test_a_camera_clock_needs_its_offset(track: Track) -> None:
    clock = datetime(2024, 5, 6, 14, 5)
    position = position_at(track, clock, 15 * MINUTE, utc_offset=timedelta(hours=2))
    assert position is not None
    assert (position.lat_deg, position.lon_deg) == (10.5, 21)
    aware = clock.replace(tzinfo=timezone(timedelta(hours=2)))
    assert position_at(track, aware, 15 * MINUTE) == position
    with pytest.raises(ValueError, match="utc_offset"):
        position_at(track, clock, 15 * MINUTE)


@pytest.mark.parametrize(("minutes", "lon_deg"), [(1, 179.5), (2, 180), (3, -179.5)])
def test_a_track_crosses_the_antimeridian(minutes: int, lon_deg: float) -> None:
    crossing = Track("x", (NOON, NOON + 4 * MINUTE), (0.0, 0.0), (179.0, -179.0))
    position = position_at(crossing, NOON + minutes * MINUTE, 15 * MINUTE)
    assert position is not None
    assert position.lon_deg == pytest.approx(lon_deg)


def test_points_without_sense_are_left_out() -> None:
    data = gpx(
        point(99, 0, "2024-05-06T12:00:00Z"),
        point("nan", 0, "2024-05-06T12:00:00Z"),
        'lat="1" lon="2">',
        point(3, 4, "2024-05-06T12:00:00"),
    )
    track = read_track(data, "walk.gpx")
    assert (track.times, track.lat_deg, track.lon_deg) == ((NOON,), (3,), (4,))


def test_a_name_in_another_encoding_does_no_harm() -> None:
    data = gpx(point(1, 2, "2024-05-06T12:00:00Z")).replace(b"<trk>", b"<trk><name>caf\xe9</name>")
    assert len(read_track(b"\xef\xbb\xbf" + data, "walk.gpx").times) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is no GPX file"),
        (b"\xff\xd8\xff\xe0 a photo", "it is no GPX file"),
        (gpx(point(1, 2, "2024-05-06T12:00:00Z"))[:-20], "it is no GPX file"),
        (gpx(point("x", 2, "2024-05-06T12:00:00Z")), "it is no GPX file"),
        (b"<kml/>", "it has no track points with times"),
        (gpx('lat="1" lon="2">'), "it has no track points with times"),
        (b'<!DOCTYPE gpx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><gpx>&b;</gpx>', "it defines entities"),
        (b'<!doctype gpx SYSTEM "file:///etc/passwd"><gpx/>', "it defines entities"),
        (b"<gpx" + b" xmlns" * 1_000_000, "it defines entities or too many namespaces"),
        (bytes(MAX_TRACK_BYTES + 1), "it has more than the 20 MB allowed"),
    ],
    ids=range(10),
)
def test_a_hostile_or_useless_file_is_refused_with_its_name(data: bytes, reason: str) -> None:
    with pytest.raises(CollectionError, match=rf"walk\.gpx: {reason}"):
        read_track(data, "walk.gpx")
