from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triovision.train.data.manifest import Manifest
from triovision.train.data.normalisation import with_statistics
from triovision.train.recipes.country_recipe import Recipe


@pytest.fixture
def photos(tmp_path: Path) -> Manifest:
    """Two pictures of the size that the network sees, lossless: black and white halves, and a plain colour."""
    halves = np.zeros((32, 32, 3), dtype=np.uint8)
    halves[:, 16:] = 255
    plain = np.full((32, 32, 3), (255, 51, 0), dtype=np.uint8)
    for name, image_hwc in (("halves.png", halves), ("plain.png", plain)):
        Image.fromarray(image_hwc).save(tmp_path / name)
    return Manifest(pd.DataFrame({"file": ["halves.png", "plain.png"], "country": ["FR", "JP"]}), tmp_path, "0" * 64)


def recipe(normalisation: str) -> Recipe:
    return Recipe.model_validate(
        {"name": "x", "description": "", "architecture": "test_resnet", "normalisation": normalisation}
        | {"preprocessing": {"input_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}}
    )


def test_mean_and_deviation_by_hand(photos: Manifest, tmp_path: Path) -> None:
    found = with_statistics(recipe("z_score"), photos, tmp_path / "run", 0).preprocessing
    # Red: a quarter 0, a quarter 1, half 1. Green: a quarter 0, a quarter 1, half 0.2. Blue: a quarter 1, the rest 0.
    assert found.mean == pytest.approx((0.75, 0.35, 0.25))
    deviations = (0.75 - 0.75**2, 0.25 + 0.5 * 0.04 - 0.35**2, 0.25 - 0.25**2)
    assert found.std == pytest.approx(np.sqrt(deviations))


def test_photos_of_one_colour_can_be_normalised(photos: Manifest, tmp_path: Path) -> None:
    plain = photos.where(photos.table["country"] == "JP")
    found = with_statistics(recipe("z_score"), plain, tmp_path / "run", 0).preprocessing
    assert found.mean == pytest.approx((1, 0.2, 0))
    assert found.std == pytest.approx((0.5 / 255,) * 3)


def test_a_run_that_was_begun_is_not_measured_again(photos: Manifest, tmp_path: Path) -> None:
    first = with_statistics(recipe("z_score"), photos, tmp_path, 0)
    (tmp_path / "run.json").write_text(json.dumps({"recipe": first.model_dump(mode="json")}))
    (tmp_path / "halves.png").unlink()
    (tmp_path / "plain.png").unlink()
    assert with_statistics(recipe("z_score"), photos, tmp_path, 0) == first


def test_nothing_is_measured_unless_the_recipe_says_so(photos: Manifest, tmp_path: Path) -> None:
    given = recipe("given")
    assert with_statistics(given, photos, tmp_path, 0) is given
