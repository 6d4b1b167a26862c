"""A small random model, and folders of photos of noise."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.progress import Progress, RunOptions
from triovision.collections.organiser.run import organise
from triovision.inference import GeoModel, load_model

Organise = Callable[..., Progress]


def jpeg(seed: int, taken_at: str | None = None) -> bytes:
    """JPEG of noise, with a time if one is given."""
    exif = Image.Exif()
    if taken_at:
        exif.get_ifd(0x8769)[0x9003] = taken_at
    pixels = np.random.default_rng(seed).integers(0, 256, size=(60, 80, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", exif=exif)
    return content.getvalue()


@pytest.fixture(scope="session")
def make_jpeg() -> Callable[..., bytes]:
    return jpeg


@pytest.fixture
def model(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> GeoModel:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))
    return load_model("test_efficientnet.noise", "cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight photos in two folders."""
    folder = tmp_path / "holiday"
    for number in range(8):
        path = folder / ("a", "b")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def run(model: GeoModel, out: Path) -> Organise:
    """Runs over sources, and returns what it did."""

    def invoke(*sources: Path, **options: object) -> Progress:
        progress = Progress()
        with CollectionDatabase(out) as database:
            organise(database, model, sources, RunOptions(batch_size=3, **options), progress)
        return progress

    return invoke
