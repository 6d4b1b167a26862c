import io
import struct
import zlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from PIL import Image

from triovision.photo import read_photo
from triovision.photo.camera import camera_facts

ASCII, SHORT, LONG, RATIONAL, DOUBLE = 2, 3, 4, 5, 12
DATE_TIME_ORIGINAL, OFFSET_TIME_ORIGINAL, MAKE, MODEL, SOFTWARE = 0x9003, 0x9011, 0x010F, 0x0110, 0x0131
LAT_REF, LAT, LON_REF, LON = 1, 2, 3, 4


def text(value):
    return ASCII, len(value) + 1, value + b"\0"


def rationals(*pairs):
    return RATIONAL, len(pairs), b"".join(struct.pack("<LL", *pair) for pair in pairs)


def doubles(*values):
    return DOUBLE, len(values), struct.pack(f"<{len(values)}d", *values)


def directory(tags, offset):
    """One image file directory of TIFF 6.0 at `offset`, its long values right behind it."""
    entries, values = b"", b""
    start = offset + 2 + 12 * len(tags) + 4
    for tag, (kind, count, value) in sorted(tags.items()):
        if len(value) <= 4:
            entries += struct.pack("<HHL", tag, kind, count) + value.ljust(4, b"\0")
        else:
            entries += struct.pack("<HHLL", tag, kind, count, start + len(values))
            values += value
    return struct.pack("<H", len(tags)) + entries + struct.pack("<L", 0) + values


def exif_of(main=(), detail=(), gps=()):
    """EXIF bytes with whatever values are given, sound or not."""
    main = dict(main)
    empty = directory({**main, 0x8769: (LONG, 1, bytes(4)), 0x8825: (LONG, 1, bytes(4))}, 8)
    detail_at = 8 + len(empty)
    detail_bytes = directory(dict(detail), detail_at)
    main[0x8769] = LONG, 1, struct.pack("<L", detail_at)
    main[0x8825] = LONG, 1, struct.pack("<L", detail_at + len(detail_bytes))
    gps_bytes = directory(dict(gps), detail_at + len(detail_bytes))
    return b"Exif\0\0II*\0" + struct.pack("<L", 8) + directory(main, 8) + detail_bytes + gps_bytes


def facts(**parts):
    exif = Image.Exif()
    exif.load(exif_of(**parts))
    return camera_facts(exif)


def gps_of(lat, lat_ref, lon, lon_ref):
    return {LAT_REF: text(lat_ref), LAT: lat, LON_REF: text(lon_ref), LON: lon}


PARIS_LAT = rationals((48, 1), (51, 1), (2964, 100))  # 48 + 51/60 + 29.64/3600 = 48.8582333...
PARIS_LON = rationals((2, 1), (17, 1), (402, 10))  # 2 + 17/60 + 40.2/3600 = 2.2945


@pytest.mark.parametrize(
    ("gps", "expected"),
    [
        (gps_of(PARIS_LAT, b"N", PARIS_LON, b"E"), (48.8582333, 2.2945)),
        (gps_of(PARIS_LAT, b"S", PARIS_LON, b"W"), (-48.8582333, -2.2945)),
        (gps_of(PARIS_LAT, b"n", PARIS_LON, b"w"), (48.8582333, -2.2945)),
        (gps_of(rationals((485, 10)), b"N", rationals((2, 1), (15, 1)), b"E"), (48.5, 2.25)),  # fewer parts
        (gps_of(rationals((90, 1)), b"S", rationals((180, 1)), b"W"), (-90, -180)),
        (gps_of(doubles(10.5), b"N", doubles(20.25), b"E"), (10.5, 20.25)),
        (gps_of(rationals((0, 1)), b"N", rationals((5, 1)), b"E"), (0, 5)),
    ],
)
def test_position(gps, expected):
    assert facts(gps=gps).position == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "gps",
    [
        {},
        {LAT: PARIS_LAT, LON: PARIS_LON},  # no hemispheres
        {LAT_REF: text(b"N"), LAT: PARIS_LAT},  # no longitude
        gps_of(PARIS_LAT, b"E", PARIS_LON, b"N"),
        gps_of(PARIS_LAT, b"", PARIS_LON, b"E"),
        gps_of(PARIS_LAT, b"N", PARIS_LON, b"\0"),
        gps_of(rationals((48, 0), (51, 1), (0, 1)), b"N", PARIS_LON, b"E"),
        gps_of(rationals((0, 0), (0, 0), (0, 0)), b"N", PARIS_LON, b"E"),
        gps_of(rationals((91, 1)), b"N", PARIS_LON, b"E"),
        gps_of(rationals((90, 1), (1, 1)), b"N", PARIS_LON, b"E"),
        gps_of(PARIS_LAT, b"N", rationals((181, 1)), b"E"),
        gps_of(rationals((48, 1), (61, 1)), b"N", PARIS_LON, b"E"),
        gps_of(rationals((1, 1), (1, 1), (1, 1), (1, 1)), b"N", PARIS_LON, b"E"),
        gps_of(doubles(float("nan")), b"N", PARIS_LON, b"E"),
        gps_of(doubles(float("inf")), b"N", PARIS_LON, b"E"),
        gps_of(doubles(-5.0), b"N", PARIS_LON, b"E"),
        gps_of(text(b"forty-eight"), b"N", PARIS_LON, b"E"),
        gps_of(rationals((0, 1)), b"N", rationals((0, 1)), b"E"),  # a receiver without a fix
        {**gps_of(PARIS_LAT, b"N", PARIS_LON, b"E"), LAT_REF: (SHORT, 1, struct.pack("<H", 78))},
    ],
)
def test_position_without_sense_is_no_position(gps):
    assert facts(gps=gps).position is None


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({DATE_TIME_ORIGINAL: text(b"2024:05:06 07:08:09")}, datetime(2024, 5, 6, 7, 8, 9)),
        (
            {DATE_TIME_ORIGINAL: text(b"2024:05:06 07:08:09"), OFFSET_TIME_ORIGINAL: text(b"-03:30")},
            datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
        ),
        (
            {DATE_TIME_ORIGINAL: text(b"2024:05:06 07:08:09"), OFFSET_TIME_ORIGINAL: text(b"+00:00")},
            datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        ),
        (
            {DATE_TIME_ORIGINAL: text(b"2024:05:06 07:08:09"), OFFSET_TIME_ORIGINAL: text(b"   :  ")},
            datetime(2024, 5, 6, 7, 8, 9),
        ),
        ({DATE_TIME_ORIGINAL: text(b"0000:00:00 00:00:00")}, None),
        ({DATE_TIME_ORIGINAL: text(b"2024:13:40 99:99:99")}, None),
        ({DATE_TIME_ORIGINAL: text(b"    :  :     :  :  ")}, None),
        ({DATE_TIME_ORIGINAL: (SHORT, 1, struct.pack("<H", 2024))}, None),
        ({OFFSET_TIME_ORIGINAL: text(b"+02:00")}, None),
        ({}, None),
    ],
)
def test_time(detail, expected):
    taken_at = facts(detail=detail).taken_at
    assert taken_at == expected
    assert (taken_at and taken_at.utcoffset()) == (expected and expected.utcoffset())


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        (b"Apple", b"iPhone 15 Pro", "Apple iPhone 15 Pro"),
        (b"Canon", b"Canon EOS 5D Mark IV", "Canon EOS 5D Mark IV"),
        (b"NIKON CORPORATION", b"NIKON D90", "NIKON D90"),
        (b"SONY  \0\0", b"\r\nILCE-7M3\x1b[31m", "SONY ILCE-7M3[31m"),
        (b"", b"X100V", "X100V"),
        (b"FUJIFILM", b"", "FUJIFILM"),
        (b"\x01\x02", b" ", None),
    ],
)
def test_camera(make, model, expected):
    assert facts(main={MAKE: text(make), MODEL: text(model)}).camera == expected


def test_camera_name_is_bounded():
    camera = facts(main={MAKE: text(b"A" * 5000), MODEL: text(b"B" * 5000)}).camera
    assert len(camera) == 161
    assert camera.startswith("AAAA")
    assert camera.endswith("BBBB")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text(b"Adobe Photoshop 25.0 (Windows)"), "Adobe Photoshop 25.0 (Windows)"),
        (text(b"GIMP\r\n<b>2.10</b>\x1b[0m"), "GIMP<b>2.10</b>[0m"),  # no line break, no control character
        (text(b" \0"), None),
        ((LONG, 1, struct.pack("<L", 7)), None),
    ],
)
def test_software(written, expected):
    assert facts(main={SOFTWARE: written}).software == expected


def test_camera_of_the_wrong_type_is_left_out():
    assert facts(main={MAKE: (LONG, 1, struct.pack("<L", 7))}).camera is None


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIF"])
def test_facts_of_every_container(container, encode):
    exif = exif_of(
        main={MAKE: text(b"Maker"), MODEL: text(b"One")},
        detail={DATE_TIME_ORIGINAL: text(b"2024:05:06 07:08:09")},
        gps=gps_of(PARIS_LAT, b"N", PARIS_LON, b"E"),
    )
    image = Image.new("RGB", (64, 64), (200, 10, 10))
    if container == "TIFF":  # this writer takes the tags of an Exif, and no bytes
        parsed = Image.Exif()
        parsed.load(exif)
        for tag in (0x8769, 0x8825):
            parsed.get_ifd(tag)
        exif = parsed
    photo = read_photo(encode(image, container, exif=exif), "x")
    assert photo.camera.camera == "Maker One"
    assert photo.camera.taken_at == datetime(2024, 5, 6, 7, 8, 9)
    assert photo.camera.position == pytest.approx((48.8582333, 2.2945), abs=1e-6)
    assert photo.warnings == ()


def test_facts_of_a_jpeg_that_is_decoded_small(encode):
    exif = exif_of(main={0x0112: (SHORT, 1, struct.pack("<H", 6)), MAKE: text(b"Maker")})
    photo = read_photo(encode(Image.new("RGB", (4096, 3072)), "JPEG", exif=exif), "x")
    assert photo.camera.camera == "Maker"
    assert photo.image_hwc.shape == (1024, 768, 3)
    assert (photo.original_width_px, photo.original_height_px) == (3072, 4096)


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage that is no TIFF header",
        b"Exif\0\0II*\0\xff\xff\xff\xff",  # first directory beyond the end
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",  # 65535 tags, none there
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\xff\xff\x7f\0\0\0\0",  # a text of 2 GB
        exif_of(main={MAKE: text(b"Maker" * 9)})[:70],
        exif_of(gps=gps_of(PARIS_LAT, b"N", PARIS_LON, b"E"))[:-10],
        b"Exif\0\0MM\0\x2b" + bytes(60),
    ],
)
def test_damaged_exif_never_refuses_a_photo(container, exif, encode):
    data = encode(Image.new("RGB", (64, 64), (255, 255, 255)), container)
    photo = read_photo(with_exif(data, container, exif), "x")
    assert photo.image_hwc.min() >= 250
    assert photo.camera.position is None


def with_exif(data, container, exif):
    """Put EXIF bytes into a file, as they are."""
    tiff = exif[6:]
    if container == "JPEG":  # no JFIF, so that Pillow looks into the EXIF while it opens the file
        assert data[2:4] == b"\xff\xe0"
        jfif = 2 + int.from_bytes(data[4:6], "big")
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2 + jfif :]
    sound = exif_of(main={MAKE: text(b"M" * max(0, len(tiff) - 60))})  # the writers look at what they are given
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, container, exif=sound)
    whole = buffer.getvalue()
    found = whole.index(sound[6:])
    patched = whole[:found] + tiff.ljust(len(sound) - 6, b"\0")[: len(sound) - 6] + whole[found + len(sound) - 6 :]
    if container == "PNG":
        start = patched.index(b"eXIf")
        length = int.from_bytes(patched[start - 4 : start], "big")
        checksum = struct.pack(">L", zlib.crc32(patched[start : start + 4 + length]))
        patched = patched[: start + 4 + length] + checksum + patched[start + 8 + length :]
    assert len(patched) == len(whole)
    return patched
