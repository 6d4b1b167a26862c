"""Mutants of image files, at random and by structure, each a pure function of its number.

A random mutant has bytes flipped, overwritten, removed, doubled, or cut off. A structural mutant keeps the grammar of
its format: segments, chunks, boxes, blocks or directory entries are repeated, removed, exchanged, nested, given values
at the limits of their fields, or lie about their length.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from benchmarks.images import china

Rng = np.random.Generator

_EXTREMES: Final = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_REPEATS: Final = (1, 2, 10, 100, 1000, 5000)
_MAX_BYTES: Final = 8_000_000
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


@cache
def seeds() -> dict[str, bytes]:
    """Real files by name: one photo in every format, with EXIF data, profile and frames where the format has them."""
    photo = china().resize((320, 214))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    more = {"exif": exif.tobytes(), "icc_profile": profile}
    frames = {"save_all": True, "append_images": [photo.rotate(180)]}
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    made: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "jpeg": (photo, "JPEG", more),
        "jpeg progressive": (photo, "JPEG", {"progressive": True}),
        "jpeg cmyk": (photo.convert("CMYK"), "JPEG", {}),
        "mpo": (photo, "MPO", frames),
        "png": (photo, "PNG", more),
        "png palette": (photo.quantize(64), "PNG", {"transparency": 1}),
        "png animated": (photo, "PNG", frames),
        "png deep": (deep, "PNG", {}),
        "webp": (photo, "WEBP", more),
        "webp animated": (photo, "WEBP", {"lossless": True, **frames}),
        "gif": (photo, "GIF", frames),
        "bmp": (photo, "BMP", {}),
        "tiff": (photo, "TIFF", {"exif": exif, "icc_profile": profile}),
        "tiff lzw": (photo, "TIFF", {"compression": "tiff_lzw"}),
        "tiff jpeg": (photo, "TIFF", {"compression": "jpeg"}),
        "avif": (photo, "AVIF", more),
        "heic": (photo, "HEIF", more),
    }
    files = {}
    for name, (image, container, options) in made.items():
        buffer = io.BytesIO()
        image.save(buffer, container, **options)
        files[name] = buffer.getvalue()
    return files


def random_mutant(number: int) -> tuple[str, bytes]:
    """Return the name of the seed and the bytes of a mutant with one to six changes anywhere."""
    rng = np.random.default_rng([1, number])
    name, data = _seed(rng, list(seeds()))
    for _ in range(int(rng.integers(1, 7))):
        at = int(len(data) * rng.random() ** int(rng.integers(1, 5)))  # the header deserves most of them
        size = int(rng.integers(1, 64))
        cut = data[at : at + size]
        match int(rng.integers(6)):
            case 0:
                data = data[:at] + bytes(byte ^ size for byte in data[at : at + 1]) + data[at + 1 :]
            case 1:
                data = data[:at] + _extreme(rng)[-4:] + data[at + 4 :]
            case 2:
                data = data[:at] + data[at + size :]
            case 3:
                data = data[:at] + cut + data[at:]
            case 4:
                data = data[: max(at, 16)]
            case 5:
                other = list(seeds().values())[int(rng.integers(len(seeds())))]
                data = data[:at] + other[at : at + 50 * size] + data[at + 50 * size :]
    return name, data


def structural_mutant(number: int) -> tuple[str, bytes]:
    """Return the name of the seed and the bytes of a mutant whose parts are repeated, exchanged, nested or lie."""
    rng = np.random.default_rng([2, number])
    name, data = _seed(rng, [name for name in seeds() if _grammar(name)])
    if name in ("jpeg", "png", "webp", "tiff") and rng.random() < 0.3:
        return name, _with_profile(name, _changed(rng, *_GRAMMARS["profile"], _profile()))
    if name == "jpeg" and rng.random() < 0.3:  # EXIF data are a TIFF file of their own
        at = data.index(b"Exif\0\0")
        length = struct.unpack(">H", data[at - 2 : at])[0] - 8
        exif = _changed(rng, *_GRAMMARS["tiff"], data[at + 6 : at + 6 + length])[:65_000]
        return name, data[: at - 2] + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + data[at + 6 + length :]
    return name, _changed(rng, *_GRAMMARS[_grammar(name)], data)


def _seed(rng: Rng, names: list[str]) -> tuple[str, bytes]:
    name = names[int(rng.integers(len(names)))]
    return name, seeds()[name]


def _changed(rng: Rng, split: Callable[[bytes], list[Part]], join: Callable[[list[Part]], bytes], data: bytes) -> bytes:
    """Change the parts of a file one to four times."""
    parts = split(data)
    for _ in range(int(rng.integers(1, 5))):
        at, other = (int(rng.integers(len(parts))) for _ in range(2))
        part = parts[at]
        match int(rng.integers(8)):
            case 0:
                times = _REPEATS[int(rng.integers(len(_REPEATS)))]
                times = min(times, _MAX_BYTES // (len(part.payload) + 16))
                parts = parts[:at] + [part] * times + parts[at:]
            case 1:
                parts = parts[:at] + parts[at + 1 :] or parts
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts[at] = replace(part, kind=parts[other].kind)
            case 4:
                parts[at] = replace(part, payload=join([part, parts[other]])[:_MAX_BYTES])
            case 5:
                parts[at] = replace(part, lie=int.from_bytes(_extreme(rng), "big") - int(rng.integers(2)) * 2**31)
            case _:
                parts[at] = replace(part, payload=_overwritten(rng, part.payload))
    return join(parts)


def _overwritten(rng: Rng, payload: bytes) -> bytes:
    """Put a value at the limit of its field on some numbers, most of them near the beginning."""
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.choice([1, 2, 4]))
        at = int(len(payload) * rng.random() ** 3)
        value = _extreme(rng)[-size:]
        payload = payload[:at] + (value if rng.integers(2) else value[::-1]) + payload[at + size :]
    return payload


def _extreme(rng: Rng) -> bytes:
    return struct.pack(">L", _EXTREMES[int(rng.integers(len(_EXTREMES)))])


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _with_profile(name: str, profile: bytes) -> bytes:
    buffer = io.BytesIO()
    container = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}[name]
    china().resize((64, 48)).save(buffer, container, icc_profile=profile)
    return buffer.getvalue()


def _grammar(name: str) -> str:
    """Grammar of a seed; empty for one without."""
    kind = name.split(maxsplit=1)[0]
    return {"mpo": "jpeg", "avif": "boxes", "heic": "boxes"}.get(kind, kind if kind in _GRAMMARS else "")


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


_GRAMMARS: Final = {
    "jpeg": (_split_jpeg, _join_jpeg),
    "png": (_split_png, _join_png),
    "webp": (_split_riff, _join_riff),
    "boxes": (_split_boxes, _join_boxes),
    "gif": (_split_gif, _join_gif),
    "tiff": (_split_tiff, _join_tiff),
    "profile": (_split_profile, _join_profile),
}
