"""A miniature of Stanford Cars, and a table of photos of places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from examples.cars.miniature import write_miniature


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in the layout of the devkit: 3 classes, 8 training and 3 test photos of each."""
    folder = tmp_path_factory.mktemp("cars")
    write_miniature(folder, classes=3, train=8, test=3)
    return folder


@pytest.fixture(scope="session")
def travels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `manifest.csv`: two places of 13 photos in three sources, one photo copied, and a place of 4."""
    folder = tmp_path_factory.mktemp("travels")
    random = np.random.default_rng(0)
    rows = []
    for number, (place, photos) in enumerate({"alp": 13, "bay": 13, "rare": 4}.items()):
        # Hue and pattern tell a place; no two photos are near-duplicates.
        for i in range(photos):
            pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            pixels[:, :, number] //= 4
            Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC).save(folder / f"{place}{i}.png")
            fold = "test" if i == 12 else "1" if i > 9 else "0"
            rows.append((f"{place}{i}.png", place, f"source{fold}", fold))
    copied = folder / "alp10.png"  # of the unseen source, as it was in the other one
    Image.open(folder / "alp0.png").save(copied)
    columns = ["file", "place", "source", "split_new_sources"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.csv", index=False)
    return folder
