"""Files that the photo tests make for themselves."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Encode a Pillow image into bytes of the format: `encode(image, "PNG", **options)`."""

    def encoded(image: Image.Image, container: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, container, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def quadrants() -> Image.Image:
    """96 x 64: red top left, lime top right, blue bottom left, white bottom right."""
    image_hwc = np.full((64, 96, 3), 255, np.uint8)
    image_hwc[:32, :48] = (255, 0, 0)
    image_hwc[:32, 48:] = (0, 255, 0)
    image_hwc[32:, :48] = (0, 0, 255)
    return Image.fromarray(image_hwc)


@pytest.fixture(scope="session")
def noise() -> Image.Image:
    """320 x 240 of smooth noise, which fills a file evenly and holds no flat mid-grey row."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
