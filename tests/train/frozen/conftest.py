"""A manifest with features instead of photos: directions by country, landmark and source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.manifest import Manifest
from triovision.train.recipes.frozen_recipe import EmbeddingSection, FrozenRecipe, HeadSection

#: Country and position of each landmark.
LANDMARKS = {"Tower": ("FR", 48.86, 2.29), "Bridge": ("FR", 43.95, 4.81), "Temple": ("JP", 35.0, 135.8)}
FEATURES = 24

Photos = tuple[Manifest, NDArray[np.float32]]


@pytest.fixture
def recipe() -> FrozenRecipe:
    return FrozenRecipe(
        name="tiny",
        description="",
        architecture="test_efficientnet",
        preprocessing=Preprocessing(input_size=32, mean=(0.5,) * 3, std=(0.5,) * 3),
        fold_column="fold",
        head=HeadSection(min_photos=5, components=16, penalties=(0.001, 0.1)),
        embedding=EmbeddingSection(dimensions=8, steps=20, learning_rate=0.01),
    )


@pytest.fixture
def photos() -> Photos:
    """Six sources in three folds; each shows every landmark, ordinary places and a look of its own."""
    random = np.random.default_rng(0)
    directions = dict(zip((*LANDMARKS, "FR", "JP", "BR"), np.eye(FEATURES), strict=False))
    rows, features = [], []
    for source in range(6):
        look = random.normal(size=FEATURES) / 4
        for name, (country, lat, lon) in LANDMARKS.items():
            for i in range(4):
                rows.append((f"{source}{name}{i}.jpg", country, lat, lon, name, name, "landmark", f"s{source}"))
                features.append(directions[country] + directions[name] + look)
        for country in ("FR", "JP", "BR"):
            for i in range(4):
                place = f"{country}{source}{i}"
                rows.append((f"{place}.jpg", country, 10.0 + i, 20.0 + i, place, "", "city", f"s{source}"))
                features.append(directions[country] + look)
    table = pd.DataFrame(rows, columns=["file", "country", "lat", "lon", "place", "place_name", "position", "source"])
    table["fold"] = (table["source"].str[1:].astype(int) % 3).astype(str)
    noise = random.normal(size=(len(rows), FEATURES)) / 10
    return Manifest(table, Path("nowhere"), "0" * 64), (np.array(features) + noise).astype(np.float32)
