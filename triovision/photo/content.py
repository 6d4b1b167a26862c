"""Kind of a file by its content."""

from __future__ import annotations

import re

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from triovision.errors import Message

READABLE = Message("{formats} or BMP", formats="JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF")
CAMERA_RAW = Message("a camera raw file")

# Kinds that people do drop, each known by bytes at an offset. The camera-raw ones would pass for a TIFF.
_FOREIGN = (
    (0, b"%PDF", Message("a PDF document")),
    (0, b"8BPS", Message("a Photoshop document")),
    (0, b"%!PS", Message("a PostScript drawing")),
    (0, b"\xc5\xd0\xd3\xc6", Message("a PostScript drawing")),
    (0, b"PK\x03\x04", Message("a ZIP archive or an office document")),
    (0, b"\x00\x00\x01\x00", Message("an icon")),
    (0, b"\xff\x0a", Message("a JPEG XL image")),
    (4, b"JXL ", Message("a JPEG XL image")),
    (4, b"jP  \r\n\x87\n", Message("a JPEG 2000 image")),
    (0, b"\xff\x4f\xff\x51", Message("a JPEG 2000 image")),
    (8, b"CR\x02", CAMERA_RAW),
    (4, b"ftypcrx ", CAMERA_RAW),
    (0, b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (0, b"IIRO", CAMERA_RAW),
    (0, b"IIRS", CAMERA_RAW),
    (0, b"MMOR", CAMERA_RAW),
    (0, b"IIU\x00", CAMERA_RAW),
    (4, b"ftypisom", Message("a video")),
    (4, b"ftypmp4", Message("a video")),
    (4, b"ftypqt  ", Message("a video")),
    (0, b"\x1aE\xdf\xa3", Message("a video")),
)
_SVG = re.compile(rb"\s*(<\?xml|<!--|<!doctype svg|<svg)", re.IGNORECASE)
_HTML = re.compile(rb"\s*<(!doctype )?html", re.IGNORECASE)
_DNG_VERSION, _NEW_SUBFILE_TYPE = 0xC612, 0x00FE


def foreign_kind(data: bytes) -> Message | None:
    """Name the kind of a file that is well known and not read here, such as `"a PDF document"`."""
    for offset, magic, kind in _FOREIGN:
        if data.startswith(magic, offset):
            return kind
    head = data[:1024].removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(head):
        return Message("a web page")
    if _SVG.match(head):
        return Message("an SVG drawing") if b"<svg" in head.lower() else Message("an XML text")
    return None


def is_camera_raw(image: Image.Image) -> bool:
    """Whether an opened TIFF is a camera's raw file, whose first image is only a thumbnail (TIFF/EP, DNG)."""
    if not isinstance(image, TiffImageFile):
        return False
    subfile = image.tag_v2.get(_NEW_SUBFILE_TYPE)
    return _DNG_VERSION in image.tag_v2 or (isinstance(subfile, int) and bool(subfile & 1))
