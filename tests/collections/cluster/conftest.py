"""Photos of noise on the disk, a small random model, and a cluster of two workers on this machine."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MODEL = "test_efficientnet.noise"


@pytest.fixture
def models(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def write_photos(tmp_path: Path) -> Callable[[int], Path]:
    """Writes so many different photos into a folder."""

    def write(count: int) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, size=(60, 80, 3), dtype=np.uint8)
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "JPEG")
            (folder / f"{number:03}.jpg").write_bytes(content.getvalue())
        return folder

    return write
