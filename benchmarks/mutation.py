"""Mutants of image files, at random and by structure, each a pure function of its number.

A random mutant has bytes flipped, overwritten, removed, doubled, or cut off. A structural mutant keeps the grammar of
its format: segments, chunks, boxes, blocks or directory entries are repeated, removed, exchanged, nested, given values
at the limits of their fields, or lie about their length.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from benchmarks.grammars import GRAMMARS, Part
from benchmarks.images import china

Rng = np.random.Generator

_EXTREMES: Final = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_REPEATS: Final = (1, 2, 10, 100, 1000, 5000)
_MAX_BYTES: Final = 8_000_000


@cache
def seeds() -> dict[str, bytes]:
    """Real files by name: one photo in every format, with EXIF data, profile and frames where the format has them."""
    photo = china().resize((320, 214))
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    profile = _profile()
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
        return name, _with_profile(name, _changed(rng, *GRAMMARS["profile"], _profile()))
    if name == "jpeg" and rng.random() < 0.3:  # EXIF data are a TIFF file of their own
        at = data.index(b"Exif\0\0")
        length = struct.unpack(">H", data[at - 2 : at])[0] - 8
        exif = _changed(rng, *GRAMMARS["tiff"], data[at + 6 : at + 6 + length])[:65_000]
        return name, data[: at - 2] + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + data[at + 6 + length :]
    return name, _changed(rng, *GRAMMARS[_grammar(name)], data)


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
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]  # without the time when it was made


def _with_profile(name: str, profile: bytes) -> bytes:
    buffer = io.BytesIO()
    container = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}[name]
    china().resize((64, 48)).save(buffer, container, icc_profile=profile)
    return buffer.getvalue()


def _grammar(name: str) -> str:
    """Grammar of a seed; empty for one without."""
    kind = name.split(maxsplit=1)[0]
    return {"mpo": "jpeg", "avif": "boxes", "heic": "boxes"}.get(kind, kind if kind in GRAMMARS else "")
