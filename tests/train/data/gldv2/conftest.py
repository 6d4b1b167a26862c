"""Tables and photos for the server of `mirror`."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def patience(four_attempts_without_waiting: None) -> None:
    """Nothing here waits."""


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    """A JPEG of smooth noise: `jpeg(seed, width, height, orientation)`."""

    def make(seed: int = 0, width: int = 120, height: int = 80, orientation: int = 1) -> bytes:
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((width, height)).save(buffer, "JPEG", exif=exif)
        return buffer.getvalue()

    return make


@pytest.fixture
def tar_of() -> Callable[[dict[str, bytes]], bytes]:
    """A tar of the files by their names."""

    def make(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return buffer.getvalue()

    return make


@pytest.fixture
def photo_id() -> Callable[[int], str]:
    """The id of photo n: spread over several folders."""
    return lambda n: f"{n % 16:x}{n * 7919 + 1:015x}"


@pytest.fixture
def member(photo_id: Callable[[int], str]) -> Callable[[int], str]:
    """The name of photo n below the folder."""

    def name(n: int) -> str:
        i = photo_id(n)
        return f"{i[0]}/{i[1]}/{i[2]}/{i}.jpg"

    return name


@pytest.fixture
def write_manifest(tmp_path: Path, member: Callable[[int], str]) -> Callable[..., Path]:
    """A manifest of photos 0 to n - 1, in turn of the countries: `write_manifest(n, countries, base_url)`."""

    def write(photos: int, countries: tuple[str, ...] = ("FR", "NA"), base_url: str = "") -> Path:
        rows = [
            {
                "file": member(n),
                "country": countries[n % len(countries)],
                "lat": 1.5,
                "lon": 2.5,
                "place": f"place {n}",
                "url": f"{base_url}/photo/{n}.jpg",
            }
            for n in range(photos)
        ]
        folder = tmp_path / "manifest"
        folder.mkdir(exist_ok=True)
        half = photos // 2
        pd.DataFrame(rows[:half]).to_parquet(folder / "part-000.parquet")
        pd.DataFrame(rows[half:]).to_parquet(folder / "part-001.parquet")
        (folder / "_report.json").write_text("{}")
        return folder

    return write
