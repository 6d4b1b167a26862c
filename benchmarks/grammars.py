"""Grammars of image files: a file as a list of parts, which may lie about their length, and back.

Parts are the segments of a JPEG, the chunks of a PNG or WebP, the boxes of an AVIF or HEIC, the blocks of a GIF, the
directory entries of a TIFF, and the tags of an ICC profile.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_BOX_PARENTS: Final = (b"meta", b"iprp", b"ipco", b"iinf", b"iref", b"moov", b"trak")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file.

    Attributes:
        kind: Marker, chunk name, box name, directory entry without its value, or empty for bytes without structure.
        payload: Bytes of the part, without kind and length.
        lie: Added to the length that is written.
    """

    kind: bytes
    payload: bytes
    lie: int = 0


def _length(part: Part, own: int, most: int) -> int:
    return (len(part.payload) + own + part.lie) % (most + 1)


def _split_jpeg(data: bytes) -> list[Part]:
    parts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        parts.append(Part(data[at : at + 2], data[at + 4 : at + 2 + length]))
        at += 2 + length
    scans = data[at:].split(b"\xff\xda")[1:]
    return parts + [Part(b"\xff\xda", scan[2:]) for scan in scans]


def _join_jpeg(parts: list[Part]) -> bytes:
    written = []
    for part in parts:
        own = min(len(part.payload), part.payload[0] * 2 + 4) if part.kind == b"\xff\xda" and part.payload else None
        length = (own + 2 + part.lie) % 65536 if own is not None else _length(part, 2, 65535)
        written.append(part.kind + struct.pack(">H", length) + part.payload)
    return b"\xff\xd8" + b"".join(written) + b"\xff\xd9"


def _split_png(data: bytes) -> list[Part]:
    parts, at = [], 8
    while at + 8 <= len(data):
        length = struct.unpack(">L", data[at : at + 4])[0]
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _join_png(parts: list[Part]) -> bytes:
    chunks = (
        struct.pack(">L", _length(part, 0, 0xFFFFFFFF))
        + part.kind
        + part.payload
        + struct.pack(">L", zlib.crc32(part.kind + part.payload))
        for part in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _split_riff(data: bytes) -> list[Part]:
    parts, at = [], 12
    while at + 8 <= len(data):
        length = struct.unpack("<L", data[at + 4 : at + 8])[0]
        parts.append(Part(data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts


def _join_riff(parts: list[Part]) -> bytes:
    chunks = b"".join(
        part.kind + struct.pack("<L", _length(part, 0, 0xFFFFFFFF)) + part.payload + bytes(len(part.payload) % 2)
        for part in parts
    )
    return b"RIFF" + struct.pack("<L", len(chunks) + 4) + b"WEBP" + chunks


def _split_boxes(data: bytes) -> list[Part]:
    """Boxes in the order of the file; those inside others follow a part `(` and end with a part `)`."""
    return list(_boxes(data))


def _boxes(data: bytes) -> Iterator[Part]:
    at = 0
    while at + 8 <= len(data):
        length = struct.unpack(">L", data[at : at + 4])[0]
        length = length if length >= 8 else len(data) - at
        kind, payload = data[at + 4 : at + 8], data[at + 8 : at + length]
        header = {b"meta": 4, b"iinf": 6, b"iref": 4}.get(kind, 0)
        if kind in _BOX_PARENTS:
            yield Part(b"(", kind + payload[:header])
            yield from _boxes(payload[header:])
            yield Part(b")", b"")
        else:
            yield Part(kind, payload)
        at += length


def _join_boxes(parts: list[Part]) -> bytes:
    levels: list[tuple[Part, bytes]] = [(Part(b"", b""), b"")]
    for part in parts:
        if part.kind == b"(":
            levels.append((part, b""))
            continue
        if part.kind == b")" and len(levels) == 1:
            continue
        if part.kind == b")":
            opened, inner = levels.pop()
            part = Part(opened.payload[:4], opened.payload[4:] + inner, opened.lie)  # noqa: PLW2901 - the closed box
        box = struct.pack(">L", _length(part, 8, 0xFFFFFFFF)) + part.kind + part.payload
        levels[-1] = levels[-1][0], levels[-1][1] + box
    return b"".join(written for _, written in levels)


def _split_gif(data: bytes) -> list[Part]:
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    parts = [Part(b"", data[:at])]
    while at < len(data) and data[at] != 0x3B:
        start, image = at, data[at] == 0x2C
        at += 11 + (3 << ((data[at + 9] & 7) + 1) if image and data[at + 9] & 0x80 else 0) if image else 2
        while data[at]:
            at += data[at] + 1
        at += 1
        parts.append(Part(data[start : start + 1], data[start + 1 : at]))
    return parts


def _join_gif(parts: list[Part]) -> bytes:
    return b"".join(part.kind + part.payload for part in parts) + b";"


def _split_tiff(data: bytes) -> list[Part]:
    """The whole file as it is, then the entries of its first directory: tag and type, then count and value."""
    order = "<" if data.startswith(b"II") else ">"
    start = struct.unpack(order + "L", data[4:8])[0]
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    return [Part(b"", data)] + [Part(entry[:4], entry[4:]) for entry in entries]


def _join_tiff(parts: list[Part]) -> bytes:
    """Write the directory anew behind everything else; a lie goes into its count of entries."""
    body = b"".join(part.payload for part in parts if not part.kind)
    entries = [part for part in parts if part.kind]
    order = "<" if body.startswith(b"II") else ">"
    count = (len(entries) + sum(part.lie for part in entries)) % 65536
    directory = struct.pack(order + "H", count) + b"".join((part.kind + part.payload)[:12] for part in entries)
    return body[:4] + struct.pack(order + "L", len(body)) + body[8:] + directory + bytes(4)


def _split_profile(data: bytes) -> list[Part]:
    count = struct.unpack(">L", data[128:132])[0]
    entries = [struct.unpack(">4sLL", data[132 + 12 * i : 144 + 12 * i]) for i in range(count)]
    return [Part(b"", data[:128])] + [Part(tag, data[at : at + size]) for tag, at, size in entries]


def _join_profile(parts: list[Part]) -> bytes:
    header = b"".join(part.payload for part in parts if not part.kind)[:128].ljust(128, b"\0")
    tags = [part for part in parts if part.kind]
    table, bodies, at = b"", b"", 132 + 12 * len(tags)
    for part in tags:
        table += part.kind + struct.pack(">LL", at + len(bodies), _length(part, 0, 0xFFFFFFFF))
        bodies += part.payload
    whole = header[4:] + struct.pack(">L", len(tags)) + table + bodies
    return struct.pack(">L", len(whole) + 4) + whole


#: Functions that split and join a file, by grammar.
GRAMMARS: Final = {
    "jpeg": (_split_jpeg, _join_jpeg),
    "png": (_split_png, _join_png),
    "webp": (_split_riff, _join_riff),
    "boxes": (_split_boxes, _join_boxes),
    "gif": (_split_gif, _join_gif),
    "tiff": (_split_tiff, _join_tiff),
    "profile": (_split_profile, _join_profile),
}
