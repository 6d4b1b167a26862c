"""Sixteen threads that read mixed photos at once get the pixels that one thread gets."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from triovision.photo import DecoderPool, read_photo

THREADS, ROUNDS = 16, 10


@pytest.fixture(scope="module")
def files(china: bytes) -> dict[str, bytes]:
    """Photos by name: with colour profiles of several kinds, HEIC, JPEG and others, each of other content."""
    pillow_heif.register_heif_opener()
    photo = Image.open(io.BytesIO(china)).convert("RGB")
    profiles = {
        kind: ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes() for kind in ("sRGB", "LAB", "XYZ")
    }
    made: dict[str, tuple[str, str, dict[str, object]]] = {
        **{f"{kind} profile": ("JPEG", "RGB", {"icc_profile": profile}) for kind, profile in profiles.items()},
        "LAB TIFF": ("TIFF", "LAB", {"icc_profile": profiles["LAB"]}),
        "HEIC": ("HEIF", "RGB", {}),
        "HEIC profile": ("HEIF", "RGB", {"icc_profile": profiles["sRGB"]}),
        "JPEG": ("JPEG", "RGB", {}),
        "progressive": ("JPEG", "RGB", {"progressive": True}),
        "CMYK": ("JPEG", "CMYK", {}),
        "AVIF": ("AVIF", "RGB", {"speed": 10}),
        "WebP": ("WEBP", "RGB", {}),
    }
    encoded = {}
    for number, (name, (container, mode, options)) in enumerate(made.items()):
        file = io.BytesIO()
        turned = photo.rotate(90 * number, expand=True).resize((600 + 10 * number, 400))
        if mode == "LAB":
            turned = Image.fromarray(np.asarray(turned)).convert("RGB")
            transform = ImageCms.buildTransform(
                ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
            )
            turned = ImageCms.applyTransform(turned, transform)
            turned.save(file, container, **options)
        else:
            turned.convert(mode).save(file, container, **options)
        encoded[name] = file.getvalue()
    encoded["cut"] = encoded["JPEG"][:-2000]
    return encoded


def pixels(image_hwc: np.ndarray) -> str:
    return f"{image_hwc.shape} {hashlib.sha256(np.ascontiguousarray(image_hwc)).hexdigest()}"


@pytest.mark.parametrize("way", ["in this process", "pool"])
def test_sixteen_threads_get_the_pixels_of_one(way: str, files: dict[str, bytes], long_form: bool) -> None:
    serial = {name: pixels(read_photo(data, name).image_hwc) for name, data in files.items()}
    with DecoderPool() as pool, ThreadPoolExecutor(THREADS) as threads:
        read = read_photo if way == "in this process" else pool.read

        def other(name: str) -> list[str]:
            found = pixels(read(files[name], name).image_hwc)
            return [] if found == serial[name] else [name]

        count = len(files) * 4 * (ROUNDS if long_form else 1)
        differing = [name for names in threads.map(other, islice(cycle(files), count)) for name in names]
    print(f"{THREADS} threads, {way}: {count} photos of {len(files)} kinds, {len(differing)} unlike the serial ones")
    assert differing == []
