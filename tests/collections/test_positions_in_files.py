from __future__ import annotations

import io
import struct
import zipfile
from fractions import Fraction

import numpy as np
import pyexiv2
import pytest
from PIL import Image
from PIL.ExifTags import IFD

from triovision.collections.entries import CollectionEntry, CorrectedPosition
from triovision.collections.positions_in_files import (
    jpeg_with_position,
    plan_positions,
    sidecar_name,
    write_positions_zip,
    xmp_sidecar,
)
from triovision.errors import CollectionError
from triovision.photo import read_photo

# 13.5226402 degrees are 13 and 31.358412 minutes; 71.9673394 are 71 and 58.040364 minutes.
CUZCO_XMP = ("13,31.35841S", "71,58.04036W")
THUMBNAIL = b"\xff\xd8 a thumbnail \xff\xd9"
MAKER_NOTE = b"Acme\x00 offsets inside: \x01\x02\x03\x04"


def jpeg(exif: bytes | None = None, form: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form, **({} if exif is None else {"exif": exif}))
    return content.getvalue()


def rich_exif(order: str, gps: bool) -> bytes:
    """EXIF with maker, maker note, thumbnail and, on demand, an altitude and another position."""
    made = Image.Exif()
    made.endian = order
    made[0x010F] = "Acme Camera Works"
    made.get_ifd(IFD.Exif)[0x927C] = MAKER_NOTE
    if gps:
        made.get_ifd(IFD.GPSInfo).update({1: "N", 2: (1.0, 2.0, 3.0), 6: 3399.5, 0x0B: 2.5, 0x1F: 7.0})
    tiff = bytearray(made.tobytes()[6:])
    start = struct.unpack_from(order + "I", tiff, 4)[0]
    end = start + 2 + 12 * struct.unpack_from(order + "H", tiff, start)[0]
    second = len(tiff) + len(tiff) % 2
    struct.pack_into(order + "I", tiff, end, second)
    at = second + 2 + 2 * 12 + 4
    entries = struct.pack(order + "HHII", 0x0201, 4, 1, at) + struct.pack(order + "HHII", 0x0202, 4, 1, len(THUMBNAIL))
    tiff += bytes(len(tiff) % 2) + struct.pack(order + "H", 2) + entries + bytes(4) + THUMBNAIL
    return b"Exif\x00\x00" + bytes(tiff)


def degrees(text: str) -> float:
    return float(sum(Fraction(part) / 60**i for i, part in enumerate(text.split())))


def scan(data: bytes) -> bytes:
    return data[data.index(b"\xff\xdb") :]  # from the first quantisation table


def test_a_sidecar_is_read_by_exiv2(entries: list[CollectionEntry]) -> None:
    with pyexiv2.ImageData(xmp_sidecar(entries[0])) as sidecar:
        xmp = sidecar.read_xmp()
    method = xmp.pop("Xmp.exif.GPSProcessingMethod")
    assert method.startswith("Estimate by TrioVision from image content, model test.model, probability 0.93")
    assert xmp == {
        "Xmp.exif.GPSVersionID": "2.3.0.0",
        "Xmp.exif.GPSLatitude": CUZCO_XMP[0],
        "Xmp.exif.GPSLongitude": CUZCO_XMP[1],
        "Xmp.exif.GPSMapDatum": "WGS-84",
        "Xmp.exif.GPSHPositioningError": "42500/1",
    }


def test_a_sidecar_of_a_correction_claims_no_radius(entries: list[CollectionEntry]) -> None:
    with pyexiv2.ImageData(xmp_sidecar(entries[2])) as sidecar:
        xmp = sidecar.read_xmp()
    assert xmp["Xmp.exif.GPSLatitude"] == "48,51.39600N"
    assert xmp["Xmp.exif.GPSLongitude"] == "2,21.13200E"
    assert xmp["Xmp.exif.GPSProcessingMethod"] == "MANUAL"
    assert "Xmp.exif.GPSHPositioningError" not in xmp


def test_minutes_never_round_to_sixty(make_entry) -> None:
    entry = make_entry(corrected=CorrectedPosition(9.9999999999, -179.9999999999, "hand"))
    text = xmp_sidecar(entry).decode()
    assert ">10,0.00000N<" in text
    assert ">180,0.00000W<" in text
    with pyexiv2.ImageData(jpeg_with_position(jpeg(), entry)) as copy:
        assert copy.read_exif()["Exif.GPSInfo.GPSLongitude"] == "180/1 0/1 0/10000"


def test_a_hostile_model_id_cannot_leave_its_element(make_entry) -> None:
    with pyexiv2.ImageData(xmp_sidecar(make_entry(model="</exif:x>&\x00<b>"))) as sidecar:
        assert "model </exif:x>&<b>," in sidecar.read_xmp()["Xmp.exif.GPSProcessingMethod"]


def test_sidecar_names() -> None:
    assert sidecar_name("trip/a.b.jpg", "digikam") == "trip/a.b.jpg.xmp"
    assert sidecar_name("trip/a.b.jpg", "lightroom") == "trip/a.b.xmp"
    assert sidecar_name("photo", "lightroom") == "photo.xmp"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("gps", [False, True])
def test_a_copy_has_the_position_and_keeps_all_else(entries: list[CollectionEntry], order: str, gps: bool) -> None:
    original = jpeg(rich_exif(order, gps))
    before = bytes(original)
    copy = jpeg_with_position(original, entries[0])
    assert original == before
    assert scan(copy) == scan(original)
    with pyexiv2.ImageData(original) as image:
        old, old_thumbnail = image.read_exif(), image.read_thumbnail()
    with pyexiv2.ImageData(copy) as image:
        new, new_thumbnail = image.read_exif(), image.read_thumbnail()
    assert degrees(new["Exif.GPSInfo.GPSLatitude"]) == pytest.approx(13.5226402, abs=1e-7)
    assert degrees(new["Exif.GPSInfo.GPSLongitude"]) == pytest.approx(71.9673394, abs=1e-7)
    assert (new["Exif.GPSInfo.GPSLatitudeRef"], new["Exif.GPSInfo.GPSLongitudeRef"]) == ("S", "W")
    assert new["Exif.GPSInfo.GPSHPositioningError"] == "42500/1"
    assert new["Exif.GPSInfo.GPSMapDatum"] == "WGS-84"
    assert "test.model" in new["Exif.GPSInfo.GPSProcessingMethod"]
    assert old_thumbnail == new_thumbnail == THUMBNAIL
    others = {key for key in old if "GPS" not in key and "JPEGInterchangeFormat" not in key}
    assert {"Exif.Image.Make", "Exif.Photo.MakerNote"} <= others
    assert {key: new[key] for key in others} == {key: old[key] for key in others}
    if gps:
        assert new["Exif.GPSInfo.GPSAltitude"] == old["Exif.GPSInfo.GPSAltitude"]
        assert "Exif.GPSInfo.GPSDOP" in old
        assert "Exif.GPSInfo.GPSDOP" not in new
    # Not a byte of the maker note or of its place has moved.
    tiff_old, tiff_new = (data[data.index(b"Exif\x00\x00") :] for data in (original, copy))
    assert tiff_old.index(MAKER_NOTE) == tiff_new.index(MAKER_NOTE)


def test_a_correction_removes_the_error_of_the_receiver(entries: list[CollectionEntry]) -> None:
    copy = jpeg_with_position(jpeg(rich_exif("<", True)), entries[2])
    with pyexiv2.ImageData(copy) as image:
        assert "Exif.GPSInfo.GPSHPositioningError" not in image.read_exif()
    gps = Image.open(io.BytesIO(copy)).getexif().get_ifd(IFD.GPSInfo)
    assert gps[2] == pytest.approx((48, 51, 23.76))


def test_a_jpeg_without_exif_gets_it_behind_the_jfif_header(entries: list[CollectionEntry]) -> None:
    original = jpeg()
    copy = jpeg_with_position(original, entries[0])
    assert copy[:20] == original[:20]  # start of image and JFIF
    assert copy[20:22] == b"\xff\xe1"
    assert scan(copy) == scan(original)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(copy))), np.asarray(Image.open(io.BytesIO(original))))
    # A second position replaces the first.
    with pyexiv2.ImageData(jpeg_with_position(copy, entries[2])) as image:
        assert degrees(image.read_exif()["Exif.GPSInfo.GPSLatitude"]) == pytest.approx(48.8566, abs=1e-7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        jpeg(form="PNG"),
        jpeg()[:30],
        jpeg(b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"),
        jpeg(b"Exif\x00\x00not a TIFF"),
        jpeg(rich_exif("<", False) + bytes(65250)),
        jpeg().replace(b"\xff\xdb", b"\xff\xe1\x00\x09Exif\x00\x00x\xff\xe1\x00\x09Exif\x00\x00x\xff\xdb", 1),
    ],
    ids=range(8),
)
def test_a_file_that_cannot_take_a_position_is_refused(entries: list[CollectionEntry], data: bytes) -> None:
    with pytest.raises(CollectionError, match=r"trip/a\.jpg: .*Write sidecars instead"):
        jpeg_with_position(data, entries[0])


def test_the_plan_says_why_a_photo_is_skipped(make_entry, entries: list[CollectionEntry]) -> None:
    with_camera, unsure, corrected = entries
    everything = [
        make_entry("x/sure.jpg"),
        with_camera,
        unsure,
        corrected,
        make_entry("loose.jpg", calibrated=False),
    ]
    plan = plan_positions(everything, 0.9, "digikam")
    assert [item.skipped for item in plan] == [
        None,
        "the camera wrote a position already",
        "the model is not sure",
        None,
        "the model is not calibrated, so that its probabilities promise nothing",
    ]
    assert [item.target for item in plan if item.skipped is None] == ["x/sure.jpg.xmp", "c.jpg.xmp"]
    assert plan_positions(everything, 0.95, "digikam")[0].skipped == "its probability of 0.93 is below 0.95"
    assert plan_positions(everything, 0.93, "digikam")[0].skipped is None
    with pytest.raises(ValueError, match="probability"):
        plan_positions(everything, 90, "digikam")


def test_photos_that_would_share_a_sidecar_get_none(make_entry) -> None:
    photos = [make_entry("a.jpg"), make_entry("A.png"), make_entry("b.jpg")]
    assert [item.skipped for item in plan_positions(photos, 0.5, "lightroom")] == [
        "another photo would have the file a.xmp too",
        "another photo would have the file A.xmp too",
        None,
    ]
    assert [item.skipped for item in plan_positions(photos, 0.5, "digikam")] == [None, None, None]


def test_the_archive_holds_the_planned_sidecars(make_entry, entries: list[CollectionEntry]) -> None:
    def read(_: CollectionEntry) -> bytes:
        raise AssertionError("a sidecar needs no original")

    hostile = make_entry("../../C:/x.jpg")
    content = io.BytesIO()
    assert write_positions_zip(plan_positions([*entries, hostile], 0.5, "digikam"), read, content) == []
    with zipfile.ZipFile(content) as archive:
        assert archive.namelist() == ["c.jpg.xmp", "x.jpg.xmp"]
        assert archive.read("c.jpg.xmp") == xmp_sidecar(entries[2])


def test_the_archive_holds_the_planned_copies_and_reports_the_rest(make_entry) -> None:
    photos = [make_entry("a.jpg"), make_entry("png.jpg"), make_entry("gone.jpeg"), make_entry("b.png")]
    files = {"a.jpg": jpeg(), "png.jpg": jpeg(form="PNG")}

    def read(entry: CollectionEntry) -> bytes:
        if entry.name not in files:
            raise FileNotFoundError
        return files[entry.name]

    plan = plan_positions(photos, 0.5, "copy")
    assert plan[3].skipped == "only a JPEG can have a copy with a position; write sidecars instead"
    content = io.BytesIO()
    faults = write_positions_zip(plan, read, content)
    assert [fault.subject for fault in faults] == ["png.jpg", "gone.jpeg"]
    with zipfile.ZipFile(content) as archive:
        assert archive.namelist() == ["a.jpg"]
        assert archive.read("a.jpg") == jpeg_with_position(files["a.jpg"], photos[0])


def test_a_written_position_is_read_back_as_the_cameras(entries: list[CollectionEntry]) -> None:
    camera = read_photo(jpeg_with_position(jpeg(), entries[0]), "a.jpg").camera
    assert camera.position == pytest.approx((-13.5226402, -71.9673394), abs=1e-7)
