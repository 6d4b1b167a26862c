"""Files made to break a reader. Each is refused in words, or accepted where a person would expect it."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.photo.hostile_files import (
    AVIF,
    BMP,
    END,
    GIF,
    GIF_FRAME,
    HEIC,
    JPEG,
    MPF,
    PNG,
    PROGRESSIVE,
    STILL,
    TIFF,
    TIFF_DEFLATE,
    WEBP,
    animated_gif,
    animated_png,
    chunk,
    file_of,
    grey_bomb,
    header,
    large_webp_canvas,
    noise,
    patched,
    pixels,
    plain_tiff,
    png,
    replaced,
    scans,
    segment,
    sequential_scans,
    shared_block,
    start_of_frame,
    tagged_tiff,
    tiled_tiff,
)
from triovision.errors import PhotoError
from triovision.photo import read_photo

FRAME = start_of_frame(JPEG)
NOT_READ = "which is not supported"
NO_IMAGE = "content is not a supported"
DAMAGED = "damaged or truncated"
MANY_PIXELS = "megapixels"
BOMB = "more pixels than can be read safely"
TOO_SMALL = "is too small"
FRAMES = "animation of more than"
METADATA = "metadata are damaged"

REFUSED = {
    "empty": (b"", "empty"),
    "one byte": (b"\xff", NO_IMAGE),
    "zeros": (bytes(10_000), NO_IMAGE),
    "random bytes": (np.random.default_rng(0).bytes(10_000), NO_IMAGE),
    "plain text": (b"this is a photo, believe me\n" * 40, NO_IMAGE),
    "web page": (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "SVG"),
    "svg with a prolog": (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><svg/>", "SVG"),
    "xml with entities": (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "XML"),
    "pdf": (b"%PDF-1.7\n" + bytes(100), "PDF"),
    "photoshop": (b"8BPS\0\x01" + bytes(100), "Photoshop"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "zip": (b"PK\x03\x04" + bytes(100), "ZIP"),
    "icon": (file_of(noise(), "ICO"), "icon"),
    "jpeg xl": (b"\xff\x0a" + bytes(100), "JPEG XL"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "JPEG 2000"),
    "canon raw 2": (b"II*\0\x10\0\0\0CR\x02\0" + TIFF[12:], "camera raw"),
    "canon raw 3": (b"\0\0\0\x18ftypcrx " + bytes(100), "camera raw"),
    "fuji raw": (b"FUJIFILMCCD-RAW 0201" + bytes(100), "camera raw"),
    "digital negative": (tagged_tiff(0xC612, b"\1\4\0\0"), "camera raw"),
    "raw with a thumbnail first": (tagged_tiff(254, 1), "camera raw"),
    "video": (b"\0\0\0\x20ftypisom" + bytes(100), "video"),
    "targa, which any bytes could be": (file_of(noise(), "TGA"), NO_IMAGE),
    "portable pixmap": (file_of(noise(), "PPM"), NO_IMAGE),
    "jpeg: only its first bytes": (JPEG[:3], NO_IMAGE),
    "jpeg: cut in its header": (JPEG[:150], DAMAGED),
    "jpeg: header only": (JPEG[: JPEG.index(b"\xff\xda") + 14], "of the image is missing"),
    "jpeg: one fifth left": (JPEG[: len(JPEG) // 5], "of the image is missing"),
    "jpeg: no height": (patched(JPEG, FRAME + 1, b"\0\0"), NO_IMAGE),
    "jpeg: no width": (patched(JPEG, FRAME + 3, b"\0\0"), NO_IMAGE),
    "jpeg: one row": (file_of(Image.new("RGB", (50, 1)), "JPEG"), TOO_SMALL),
    "jpeg: 65535 x 65535": (patched(JPEG, FRAME + 1, b"\xff" * 4), BOMB),
    "jpeg: 12000 x 9000 without data": (patched(JPEG, FRAME + 1, struct.pack(">HH", 9000, 12000)), MANY_PIXELS),
    "jpeg: 8000 x 8000 without data": (
        patched(JPEG, FRAME + 1, struct.pack(">HH", 8000, 8000))[:-2],
        "decompression bomb",
    ),
    "jpeg: 2000 x 2000 without data": (patched(JPEG, FRAME + 1, struct.pack(">HH", 2000, 2000))[:-2], "is missing"),
    "jpeg: 12 bits": (patched(JPEG, FRAME, b"\x0c"), NO_IMAGE),
    "jpeg: two channels": (patched(JPEG, FRAME + 5, b"\2"), NO_IMAGE),
    "jpeg: no quantisation tables": (JPEG.replace(b"\xff\xdb", b"\xff\xe5"), DAMAGED),
    "jpeg: 1000 scans": (scans(1000), "scans"),
    "mpo: 1000 scans": (segment(0xE2, MPF, scans(1000)), "scans"),
    "jpeg: 1000 scans, not progressive": (sequential_scans(1000), "scans"),
    "jpeg: 2000 comments": (segment(0xFE, b"x", JPEG[:2] + b"\xff\xfe\0\x03y" * 2000 + JPEG[2:]), METADATA),
    "jpeg: 20 MB of comments": (JPEG[:2] + (b"\xff\xfe\xff\xff" + bytes(65_533)) * 310 + JPEG[2:], METADATA),
    "jpeg: 1500 EXIF entries": (segment(0xE1, b"Exif\0\0" + shared_block(1500, 4)), METADATA),
    "png: EXIF entries that share a block": (
        png(header(8, 8), chunk(b"eXIf", shared_block(900, 100_000)), pixels(8, 8), END),
        METADATA,
    ),
    "png: entries below the first directory": (
        png(header(8, 8), chunk(b"eXIf", shared_block(900, 100_000, below=True)), pixels(8, 8), END),
        METADATA,
    ),
    "png: costly EXIF behind many harmless headers": (
        png(header(8, 8), chunk(b"eXIf", b"II*\0" * 100 + shared_block(900, 100_000)), pixels(8, 8), END),
        METADATA,
    ),
    "png: 2000 texts": (png(header(8, 8), chunk(b"tEXt", b"a\0b") * 2000, pixels(8, 8), END), METADATA),
    "png: 20 MB of text": (png(header(8, 8), chunk(b"tEXt", b"a\0" + bytes(20_000_000)), END), METADATA),
    "png: pixels in crumbs": (png(header(8, 8), chunk(b"IDAT", b"x") * 5000, END), METADATA),
    "gif: 2 MB of comments": (
        STILL[: STILL.index(b",")] + b"!\xfe" + (b"\xff" + bytes(255)) * 8000 + b"\0" + GIF_FRAME + b";",
        METADATA,
    ),
    "tiff: a tile of 32768 x 32768": (tiled_tiff(64, 32_768), "tiles are far larger"),
    "tiff: entries that share a block": (shared_block(900, 200_000, tag=270), METADATA),
    "jpeg: segments without end": (JPEG[:2] + b"\xff\xe5\xff\xff" * 10_000, DAMAGED),
    "png: signature only": (png(), NO_IMAGE),
    "png: no pixels": (png(header(8, 8), END), DAMAGED),
    "png: no width": (png(header(0, 8), pixels(0, 8), END), NO_IMAGE),
    "png: one column": (file_of(Image.new("RGB", (1, 50)), "PNG"), TOO_SMALL),
    "png: one row": (file_of(Image.new("RGB", (50, 1)), "PNG"), TOO_SMALL),
    "png: one pixel": (file_of(Image.new("RGB", (1, 1)), "PNG"), TOO_SMALL),
    "png: sides of 2**31": (png(header(2**31 - 1, 2**31 - 1), pixels(8, 8), END), BOMB),
    "png: 50000 x 50000": (png(header(50_000, 50_000), pixels(8, 8), END), BOMB),
    "png: bomb of 104 megapixels": (grey_bomb(10_400, 10_000), MANY_PIXELS),
    "png: cut": (PNG[: len(PNG) // 2], DAMAGED),
    "png: wrong checksum of the header": (patched(PNG, 29, b"\0\0\0\0"), NO_IMAGE),
    "png: pixels that are no zlib": (png(header(8, 8), chunk(b"IDAT", b"not packed"), END), DAMAGED),
    "png: too few pixels": (png(header(800, 800), pixels(8, 8), END), DAMAGED),
    "png: unknown colour type": (png(header(8, 8, colour=5), pixels(8, 8), END), NO_IMAGE),
    "png: text that unpacks to 200 MB": (
        png(header(8, 8), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000))), pixels(8, 8), END),
        DAMAGED,
    ),
    "png: profile that unpacks to 50 MB": (
        png(header(8, 8), chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000))), pixels(8, 8), END),
        DAMAGED,
    ),
    "png: a million frames": (animated_png(1_000_000), FRAMES),
    "png: bomb of 98 megapixels": (grey_bomb(9900, 9900), "decompression bomb"),
    "gif: 65535 x 65535": (patched(GIF, 6, b"\xff" * 4), BOMB),
    "gif: frame of 65535 x 65535": (replaced(GIF, b",\0\0\0\0\x40\1\xf0\0", b",\0\0\0\0" + b"\xff" * 4), BOMB),
    "gif: no frame": (b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b";", NO_IMAGE),
    "gif: no size": (patched(GIF, 6, bytes(4)).replace(b"\x40\1\xf0\0", bytes(4)), NO_IMAGE),
    "gif: cut": (GIF[: len(GIF) // 2], DAMAGED),
    "gif: 1001 frames": (animated_gif(1001), FRAMES),
    "gif: a million frames": (animated_gif(1_000_000), FRAMES),
    "webp: cut": (WEBP[: len(WEBP) // 2], DAMAGED),
    "webp: header only": (WEBP[:20], DAMAGED),
    "webp: canvas of 16384 x 16384": (large_webp_canvas(16384, 16384), BOMB),
    "webp: canvas of 99 megapixels": (large_webp_canvas(10_000, 9900), "allowed for such a WebP file"),
    "webp: canvas of 40 megapixels": (large_webp_canvas(8000, 5000), "decompression bomb"),
    "avif: cut": (AVIF[: len(AVIF) // 2], NO_IMAGE),
    "avif: first box only": (AVIF[:32], NO_IMAGE),
    "heic: cut": (HEIC[: len(HEIC) // 2], DAMAGED),
    "heic: first box only": (HEIC[:32], NO_IMAGE),
    "heic: box that claims 4 GB": (patched(HEIC, HEIC.index(b"meta") - 4, b"\xff\xff\xff\xff"), NO_IMAGE),
    "bmp: cut": (BMP[: len(BMP) // 2], DAMAGED),
    "bmp: sides of 2**31": (patched(BMP, 18, struct.pack("<ll", 2**31 - 1, 2**31 - 1)), BOMB),
    "bmp: negative width": (patched(BMP, 18, struct.pack("<l", -320)), BOMB),
    "bmp: 77 bits": (patched(BMP, 28, struct.pack("<H", 77)), DAMAGED),
    "bmp: pixels beyond the end": (patched(BMP, 10, b"\xff\xff\xff\x7f"), DAMAGED),
    "tiff: header only": (TIFF[:8], NO_IMAGE),
    "tiff: cut": (TIFF[: len(TIFF) // 2], DAMAGED),
    "tiff: packed, then overwritten": (patched(TIFF_DEFLATE, 8, b"\xff" * 5000), DAMAGED),
    "tiff: 65535 tags": (b"II*\0\x08\0\0\0\xff\xff" + bytes(1000), NO_IMAGE),
    "tiff: no size": (plain_tiff(0, 0), NO_IMAGE),
    "tiff: 60000 x 60000": (plain_tiff(60_000, 60_000), BOMB),
    "tiff: pixels beyond the end": (plain_tiff(64, 64, strip=2**32 - 1), DAMAGED),
    "tiff: 60000 samples a pixel": (
        plain_tiff(64, 64).replace(struct.pack("<HHLL", 277, 3, 1, 1), struct.pack("<HHLL", 277, 3, 1, 60_000)),
        NO_IMAGE,
    ),
    "big tiff: offset of 2**63": (b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(64), DAMAGED),
    "more than 30 MB": (JPEG + bytes(30_000_000), "more than the 30 MB allowed"),
}

ACCEPTED = {
    "jpeg: four fifths left": JPEG[: len(JPEG) * 4 // 5],
    "jpeg: no end marker": JPEG[:-2],
    "jpeg: progressive, four fifths left": PROGRESSIVE[: len(PROGRESSIVE) * 4 // 5],
    "jpeg: junk behind the end": JPEG + b"\xff\xda\xff\xd9" * 2000,
    "jpeg: a film behind the end": JPEG + b"\0\0\0\x20ftypmp42" + np.random.default_rng(1).bytes(100_000),
    "jpeg: 30 scans": scans(20),
    "jpeg: 200 comments": JPEG[:2] + b"\xff\xfe\0\x03y" * 200 + JPEG[2:],
    "png: 900 texts": png(header(8, 8), chunk(b"tEXt", b"a\0b") * 900, pixels(8, 8), END),
    "tiff: a tile larger than the image": tiled_tiff(64, 256),
    "jpeg: directory of images that is nonsense": segment(0xE2, b"MPF\0" + b"\xff" * 40),
    "jpeg: directory of images that loops": segment(
        0xE2, b"MPF\0II*\0\x08\0\0\0\1\0\1\xb0\4\0\1\0\0\0\xff\xff\xff\xff\x08\0\0\0"
    ),
    "jpeg: Photoshop block cut short": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\x04abcd\xff\xff\xff\xff"),
    "jpeg: profile that lacks a part": segment(0xE2, b"ICC_PROFILE\0\1\2abcdef"),
    "jpeg: profile that is nonsense": segment(0xE2, b"ICC_PROFILE\0\1\1" + b"nonsense" * 40),
    "jpeg: EXIF that points at itself": segment(
        0xE1, b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"
    ),
    "jpeg: XMP that is nonsense": segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation="99"'),
    "png: frame count of nought": png(header(8, 8), chunk(b"acTL", bytes(8)), pixels(8, 8), END),
    "png: profile that is nonsense": png(
        header(8, 8), chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no")), pixels(8, 8), END
    ),
    "png: no end": png(header(8, 8), pixels(8, 8)),
    "gif: 1000 frames": animated_gif(1000),
    "gif: no trailer": GIF[:-1],
    "tiff: pages in a loop": patched(TIFF, 4, TIFF[4:8]) + bytes(8),
    "tiff: a text of 2 GB": plain_tiff(8, 8, (270, 2, 2**31, 0), strip=130),
    "tiff: infinite resolution": plain_tiff(8, 8, (282, 5, 1, 240), strip=130),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name):
    data, reason = REFUSED[name]
    with pytest.raises(PhotoError) as refusal:
        read_photo(data, f"{name}.jpg")
    assert refusal.value.subject == f"{name}.jpg"
    assert reason in refusal.value.reason
    assert refusal.value.remedy.startswith(("Copy", "Choose", "Export", "Use", "Save"))
    assert str(refusal.value).startswith(f"{name}.jpg: ")


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name):
    photo = read_photo(ACCEPTED[name], name)
    assert photo.image_hwc.ndim == 3
    assert photo.original_width_px == photo.image_hwc.shape[1]


def test_corpus_is_large():
    assert len(REFUSED) + len(ACCEPTED) >= 100
