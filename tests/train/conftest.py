"""The smallest study that can be trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_RECIPE = f"""
base = "{Path(__file__).with_name("tiny.toml")}"

[data]
min_photos = 5
validation_splits = ["split_new_places"]

[optimisation]
epochs = 1
"""


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny.toml` and `manifest.csv`: 40 pictures of two colours, 4 places each, and 1 of a third."""
    folder = tmp_path_factory.mktemp("colours")
    random = np.random.default_rng(0)
    rows = ["file,country,lat,lon,place,split_new_places"]
    for country, colour in {"FR": (40, 60, 220), "JP": (220, 50, 60), "NA": (230, 190, 60)}.items():
        for i in range(1 if country == "NA" else 20):
            pixels = np.clip(random.normal(0, 20, size=(40, 50, 3)) + colour, 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{country}{i}.png")
            place = i // 5
            rows.append(f"{country}{i}.png,{country},10,20,{country}_{place},{'val' if place == 3 else 'train'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "tiny.toml").write_text(_RECIPE)
    return folder
