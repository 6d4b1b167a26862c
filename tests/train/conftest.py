"""Manifests and recipes that train in seconds: colours by country, towns by position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_COUNTRY_RECIPE = f"""
base = "{Path(__file__).with_name("tiny.toml")}"

[data]
min_photos = 5
validation_splits = ["split_new_places"]

[optimisation]
epochs = 1
"""

_TOWNS = {
    "FR": ((40, 60, 220), [(48.85, 2.35), (43.30, 5.37), (45.76, 4.84)]),
    "JP": ((220, 50, 60), [(35.69, 139.69), (34.69, 135.50), (43.06, 141.35)]),
}
_POSITION_RECIPE = """
base = "resnetgps_v1"
name = "tiny"
architecture = "test_resnet"
starting_weights = "none"

[preprocessing]
input_size = 32

[data]
validation_splits = ["split_new_places"]

[optimisation]
epochs = 2
batch_size = 8

[candidates]
min_photos = 2
per_country = 3
"""


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `tiny.toml` and `manifest.csv`: 40 images of two colours, 4 places each, and 1 image of a third."""
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
    (folder / "tiny.toml").write_text(_COUNTRY_RECIPE)
    return folder


@pytest.fixture(scope="session")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `tiny.toml` and `manifest.csv`: 8 images of each of 6 towns, one town of each country held out.

    One more image has no position.
    """
    folder = tmp_path_factory.mktemp("towns")
    random = np.random.default_rng(0)
    rows = ["file,country,lat,lon,place,split_new_places"]
    for country, (colour, places) in _TOWNS.items():
        for town, (lat, lon) in enumerate(places):
            for i in range(8):
                pixels = np.clip(random.normal(0, 20, size=(40, 50, 3)) + colour, 0, 255)
                file = f"{country}{town}{i}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(folder / file)
                part = "val" if town == 2 else "train"
                rows.append(f"{file},{country},{lat + i / 1000:.3f},{lon},{country}_{town},{part}")
    Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / "AD.png")
    rows.append("AD.png,AD,,,AD,train")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "tiny.toml").write_text(_POSITION_RECIPE)
    return folder
