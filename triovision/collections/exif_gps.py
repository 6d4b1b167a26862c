"""GPS tags of a JPEG's EXIF, changed without moving any other byte of the EXIF or decoding a pixel.

A writer that rebuilds the EXIF loses the thumbnail and breaks the offsets inside maker notes. Here the new tags are
appended, and one pointer is changed (EXIF 2.32, TIFF 6.0).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

#: Value of a GPS tag: text, bytes of an undefined type, or fractions.
GpsValue = str | bytes | tuple[tuple[int, int], ...]

_GPS_POINTER: Final = 0x8825
_GPS_VERSION: Final = 0
_BYTE, _ASCII, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 4, 5, 7
_EXIF: Final = b"Exif\x00\x00"
_EMPTY_TIFF: Final = b"II*\x00" + struct.pack("<IHI", 8, 0, 0)
_MAX_SEGMENT: Final = 0xFFFF


def jpeg_with_gps(data: bytes, tags: Mapping[int, GpsValue | None]) -> bytes:
    """Copy a JPEG with GPS tags replaced, added or removed; all else stays as it is, byte for byte.

    Args:
        data: The JPEG.
        tags: GPS tags by number, such as 1 for `GPSLatitudeRef`; None removes a tag.

    Raises:
        ValueError: If the file is no JPEG, its segments or its EXIF are damaged, or the EXIF would be too long.
    """
    try:
        start, end = _exif_segment(data)
        tiff = data[start + 10 : end] if end > start else _EMPTY_TIFF
        block = _EXIF + _tiff_with_gps(tiff, tags)
    except (struct.error, IndexError) as exc:
        raise ValueError("its segments or EXIF data are damaged") from exc
    if len(block) + 2 > _MAX_SEGMENT:
        raise ValueError("its EXIF data are too long for more tags")
    return data[:start] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[end:]


def _exif_segment(data: bytes) -> tuple[int, int]:
    """Start and end of the EXIF segment; both are the place for a new one if there is none."""
    if data[:3] != b"\xff\xd8\xff":
        raise ValueError("it is no JPEG")
    found: list[tuple[int, int]] = []
    position = place = 2
    while (marker := data[position + 1]) != 0xDA:  # start of scan
        if data[position] != 0xFF:
            raise ValueError("its segments are damaged")
        if marker == 0xFF:  # padding
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        end = position + 2 + length
        if marker == 0xE0 and position == 2:  # JFIF wants to be first
            place = end
        if marker == 0xE1 and data.startswith(_EXIF, position + 4):
            found.append((position, end))
        position = end
    if len(found) > 1:
        raise ValueError("its EXIF data span several segments")
    return found[0] if found else (place, place)


def _tiff_with_gps(tiff: bytes, tags: Mapping[int, GpsValue | None]) -> bytes:
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        raise ValueError("its EXIF data are damaged")
    data = bytearray(tiff)
    (main_offset,) = struct.unpack_from(order + "I", data, 4)
    main, following = _read_directory(data, order, main_offset)
    pointer = main.get(_GPS_POINTER)
    gps = {} if pointer is None else _read_directory(data, order, _long(order, pointer))[0]
    for tag, value in tags.items():
        gps.pop(tag, None)
        if value is not None:
            gps[tag] = _append_value(data, order, tag, value)
    gps_offset = _append_directory(data, order, gps, 0)
    main[_GPS_POINTER] = struct.pack(order + "HHII", _GPS_POINTER, _LONG, 1, gps_offset)
    struct.pack_into(order + "I", data, 4, _append_directory(data, order, main, following))
    return bytes(data)


def _read_directory(data: bytearray, order: str, offset: int) -> tuple[dict[int, bytes], int]:
    """Entries of 12 bytes by tag, and the offset of the directory that follows."""
    (count,) = struct.unpack_from(order + "H", data, offset)
    (following,) = struct.unpack_from(order + "I", data, offset + 2 + 12 * count)
    entries = (bytes(data[offset + 2 + 12 * i : offset + 14 + 12 * i]) for i in range(count))
    return {struct.unpack_from(order + "H", entry)[0]: entry for entry in entries}, following


def _append_directory(data: bytearray, order: str, entries: Mapping[int, bytes], following: int) -> int:
    """Append a directory, sorted by tag as TIFF wants it, and return its offset."""
    offset = _append(data, struct.pack(order + "H", len(entries)))
    for tag in sorted(entries):
        data += entries[tag]
    data += struct.pack(order + "I", following)
    return offset


def _append_value(data: bytearray, order: str, tag: int, value: GpsValue) -> bytes:
    """Entry of a tag; a value of more than four bytes is appended to the data."""
    if isinstance(value, str):
        content = value.encode("ascii", "replace") + b"\x00"
        kind, count = _ASCII, len(content)
    elif isinstance(value, bytes):
        content = value
        kind, count = (_BYTE if tag == _GPS_VERSION else _UNDEFINED), len(content)
    else:
        content = b"".join(struct.pack(order + "II", *fraction) for fraction in value)
        kind, count = _RATIONAL, len(value)
    if len(content) > 4:
        content = struct.pack(order + "I", _append(data, content))
    return struct.pack(order + "HHI", tag, kind, count) + content.ljust(4, b"\x00")


def _append(data: bytearray, content: bytes) -> int:
    data += bytes(len(data) % 2)  # TIFF wants even offsets
    offset = len(data)
    data += content
    return offset


def _long(order: str, entry: bytes) -> int:
    value: int = struct.unpack_from(order + "I", entry, 8)[0]
    return value
