"""Cost of a file: what its structure would make a decoder do, counted before a decoder sees it.

A decoder trusts the numbers in a file. A few bytes can name thousands of scans, directory entries that all point at one
large block, or colour curves of any length. Every count here hops over the structure and stops at its limit.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from triovision.errors import Message

_MAX_SCANS: Final = 32  # encoders write about ten
_MAX_PARTS: Final = 1000  # segments or chunks of metadata; cameras write some dozens
_MAX_METADATA: Final = 16_000_000  # bytes; depth maps in phone photos take several million
_MAX_GIF_EXTENSIONS: Final = 1_000_000  # bytes; Pillow joins comments in quadratic time
_MIN_IDAT: Final = 512  # bytes of an image chunk on average, in a PNG with many of them; encoders write 8 kB and more
_MAX_ENTRIES: Final = 1000  # in a directory of EXIF or TIFF; cameras write up to two hundred
_MAX_DIRECTORIES: Final = 16
_MAX_HEADERS: Final = 64  # beginnings of EXIF or TIFF data; a photo has a few, and chance makes one in 100 MB
_TILE_PIXELS: Final = 4_194_304  # 2048 x 2048, however small the picture
_MAX_PROFILE, _MAX_PROFILE_TAGS = 4_000_000, 100
_PLAIN_MODES: Final = ("1", "L", "P", "RGB", "CMYK", "I;16", "I;16B")

# Not the marker of a segment: escaped data, TEM, restarts, start of image, padding.
_IS_MARKER: Final = ~np.isin(np.arange(256), (0x00, 0x01, *range(0xD0, 0xD9), 0xFF))
_TIFF_HEADERS: Final = (b"II*\0", b"II+\0", b"MM\0*", b"MM\0+")
_SUBDIRECTORIES: Final = (0x014A, 0x8769, 0x8825, 0xA005)
#: Bytes of a value by its TIFF type, 0 for unknown types, which no reader reads.
_TYPE_BYTES: Final = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8], np.uint64)
#: ICC tags that a transform evaluates, and the types whose cost is bounded by their size.
_TRANSFORM_TAG: Final = re.compile(rb"(A2B|B2A|D2B|B2D|pre|gam)[0-9t]|[rgbk]TRC")
_TRANSFORM_TYPES: Final = (b"curv", b"para", b"mft1", b"mft2", b"mAB ", b"mBA ")

AGAIN: Final = Message("Copy the file from its source again, or export the photo again")
_METADATA: Final = Message("its metadata are damaged, or made to block the computer")


def excessive_part(data: bytes, max_frames: int) -> tuple[Message, Message] | None:
    """What would make decoding a file cost far more than a photo does, and the remedy; None for a usual file.

    Args:
        data: The whole file, of any format.
        max_frames: Most frames of a GIF. Pillow counts to the end of the file and so lets the file decide how long that
            takes; other formats say their number in the header.
    """
    if data.startswith(b"\xff\xd8"):
        scans, segments, size = _jpeg_structure(data, _MAX_SCANS)
        if scans > _MAX_SCANS:
            reason = Message(
                "it is a JPEG of more than {scans} scans, which could block the computer", scans=_MAX_SCANS
            )
            return reason, AGAIN
        costly = segments > _MAX_PARTS or size > _MAX_METADATA
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        costly = _png_chunks(data)
    elif data.startswith(b"GIF8"):
        frames, extensions = gif_blocks(data, max_frames)
        if frames > max_frames:
            return many_frames(max_frames)
        costly = extensions > _MAX_GIF_EXTENSIONS
    else:
        costly = False
    return (_METADATA, AGAIN) if costly or _directories(data) else None


def many_frames(most: int) -> tuple[Message, Message]:
    """Reason and remedy for an animation of more frames than are allowed."""
    return Message("it is an animation of more than {frames} frames", frames=most), Message("Save one frame as a photo")


def excessive_tile(image: Image.Image) -> bool:
    """Whether an opened TIFF has tiles far larger than its image: the decoder reserves memory for a whole tile."""
    if not isinstance(image, TiffImageFile):
        return False
    sides = [image.tag_v2.get(tag, 0) for tag in (0x0142, 0x0143)]
    width, length = (side if isinstance(side, int) else 0 for side in sides)
    return width * length > max(_TILE_PIXELS, 4 * image.width * image.height)


def decoder_bytes_per_pixel(image: Image.Image) -> float:
    """Peak memory of decoding an opened image and making it 8-bit RGB, in bytes a pixel of the worst file of its kind.

    Pillow takes 4 bytes a pixel of colour, and the decoder its own copies, as `benchmarks/largest_photos.py` measures.
    """
    samples = len(image.getbands())
    match image.format:
        case "WEBP":  # two canvases, a copy, Pillow's image
            return 17
        case "AVIF":  # planes of up to 16 bits, which nothing here tells, and the same interleaved
            return 3 * samples + 4
        case "HEIF":  # planes, the same interleaved, Pillow's image
            sample_bytes = 2 if image.info.get("bit_depth", 8) > 8 else 1
            is_usual = image.info.get("chroma") == 420 and samples == 3
            return 6 + sample_bytes if is_usual else 2 * samples * sample_bytes + 4
        case "JPEG" | "MPO":  # the coefficients of a progressive one; the image is decoded small
            return 2 * samples + 0.5
    return 8.5 if image.has_transparency_data or image.mode not in _PLAIN_MODES else 7


def is_cheap_profile(profile: bytes) -> bool:
    """Whether the cost of a colour transform through an ICC profile is bounded by the profile's size.

    It is not for multi-process elements (type `mpet`), whose curves may have any number of segments.
    """
    count = int.from_bytes(profile[128:132], "big")
    if len(profile) > _MAX_PROFILE or count > _MAX_PROFILE_TAGS:
        return False
    for entry in (profile[132 + 12 * i : 144 + 12 * i] for i in range(count)):
        offset = int.from_bytes(entry[4:8], "big")
        if _TRANSFORM_TAG.match(entry) and profile[offset : offset + 4] not in _TRANSFORM_TYPES:
            return False
    return True


def jpeg_scans(data: bytes, most: int) -> int:
    """Count the scans of a JPEG by hopping over its segments, and stop one above `most`.

    For each scan the decoder walks over the whole image, or a component of it, however few bytes the scan has.
    """
    return _jpeg_structure(data, most)[0]


def _jpeg_structure(data: bytes, most: int) -> tuple[int, int, int]:
    """Number of scans, number of other segments, and their bytes, up to the end of the image or to a limit."""
    pixels = np.frombuffer(data, np.uint8)
    markers = np.flatnonzero(pixels[:-1] == 0xFF)
    markers = markers[_IS_MARKER[pixels[markers + 1]]]
    scans = segments = size = position = 0
    while scans <= most and segments <= _MAX_PARTS and size <= _MAX_METADATA:
        number = int(np.searchsorted(markers, position))
        if number == len(markers):
            break
        marker = int(markers[number]) + 1
        if data[marker] == 0xD9:  # end of image
            break
        length = int.from_bytes(data[marker + 1 : marker + 3], "big")
        position = marker + 1 + length
        if data[marker] == 0xDA:
            scans += 1
        else:
            segments, size = segments + 1, size + length
    return scans, segments, size


def gif_blocks(data: bytes, most: int) -> tuple[int, int]:
    """Number of frames of a GIF, and bytes of its extensions; the count stops one above `most`, or at a limit."""

    def palette(flags: int) -> int:
        return 3 << ((flags & 7) + 1) if flags & 0x80 else 0

    frames = extensions = 0
    with suppress(IndexError):  # cut short: the decoder will say what is missing
        position = 13 + palette(data[10])
        while frames <= most and extensions <= _MAX_GIF_EXTENSIONS and data[position] != 0x3B:  # trailer
            start, kind = position, data[position]
            if kind == 0x2C:  # image: descriptor, palette, code size, data
                position += 11 + palette(data[position + 9])
                frames += 1
            elif kind == 0x21:  # extension: label, data
                position += 2
            else:
                position += 1
                continue
            while data[position]:
                position += data[position] + 1
            position += 1
            extensions += (position - start) * (kind == 0x21)
    return frames, extensions


def _png_chunks(data: bytes) -> bool:
    """Whether a PNG has too many chunks of metadata, or of image data that are cut too small."""
    metadata = images = image_bytes = size = 0
    position = 8
    while position + 8 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        if kind in (b"IDAT", b"fdAT"):
            images, image_bytes = images + 1, image_bytes + length
        else:
            metadata, size = metadata + 1, size + length
        small = images > _MAX_PARTS and image_bytes < _MIN_IDAT * images
        if metadata > _MAX_PARTS or size > _MAX_METADATA or small:
            return True
        position += 12 + length
    return False


def _directories(data: bytes) -> bool:
    """Whether directories of EXIF or TIFF in a file make a reader copy far more bytes than the file has."""
    block, headers = memoryview(data), 0
    for header in _TIFF_HEADERS:
        start = data.find(header)
        while start >= 0:
            headers += 1
            if headers > _MAX_HEADERS or _directory_chain(block[start:]):
                return True
            start = data.find(header, start + len(header))
    return False


def _directory_chain(block: memoryview) -> bool:
    """The same for the directories that one header leads to."""
    header = bytes(block[:4])
    order, big = "<" if header.startswith(b"I") else ">", b"+" in header
    pointer = f"{order}u{8 if big else 4}"
    entry = np.dtype([("tag", f"{order}u2"), ("type", f"{order}u2"), ("count", pointer), ("value", pointer)])
    first = block[8:16] if big else block[4:8]
    waiting, seen, copied = [_number(first, order)], set[int](), 0
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop()
        if offset in seen or not 0 < offset < len(block):
            continue
        seen.add(offset)
        start = offset + (8 if big else 2)
        count = _number(block[offset:start], order)
        if count > _MAX_ENTRIES and start + count * entry.itemsize <= len(block):
            return True
        count = min(count, (len(block) - start) // entry.itemsize)
        if count <= 0:
            continue
        entries = np.frombuffer(block, entry, count, start)
        copied += _copied_bytes(entries, len(block))
        if copied > 2 * len(block) + _MAX_METADATA // 16:
            return True
        end = start + count * entry.itemsize
        pointers = entries["value"][np.isin(entries["tag"], _SUBDIRECTORIES) & (entries["count"] == 1)]
        waiting += chain(pointers.tolist(), [_number(block[end : end + (8 if big else 4)], order)])
    return False


def _copied_bytes(entries: NDArray[np.void], available: int) -> int:
    """Bytes that a reader copies for the entries of a directory; none reads beyond the end of its block."""
    types = np.minimum(entries["type"], len(_TYPE_BYTES) - 1)
    known = np.where(entries["type"] < len(_TYPE_BYTES), _TYPE_BYTES[types], 0)
    counts = np.minimum(entries["count"], available).astype(np.uint64)
    return int(np.minimum(counts * known, available).sum())


def _number(field: memoryview, order: str) -> int:
    return int.from_bytes(field, "little" if order == "<" else "big")
