"""Loaded engine with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from triovision.inference import CountryEngine
from triovision.results import Photo


@pytest.fixture
def engine(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> CountryEngine:
    return CountryEngine(write_tiny_model(tmp_path), torch.device("cpu"))


@pytest.fixture
def make_photos() -> Callable[[int], list[Photo]]:
    def make(n: int) -> list[Photo]:
        random = np.random.default_rng(1)
        pixels = random.integers(0, 256, size=(n, 70, 90, 3), dtype=np.uint8)
        return [
            Photo(name=f"{i}.jpg", image_hwc=p, original_width_px=90, original_height_px=70, format="JPEG")
            for i, p in enumerate(pixels)
        ]

    return make
