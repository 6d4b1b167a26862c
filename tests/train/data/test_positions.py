"""Photos with a position, their scaling and their scores."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from triovision.errors import ManifestError, RecipeError
from triovision.inference.standardisation import fit_standardisation, read_standardisation
from triovision.train.data.manifest import Manifest
from triovision.train.data.positions import build_position_data, located
from triovision.train.recipes.position_recipe import RECIPES

NAN = float("nan")


def manifest(positions: list[tuple[float, float]], part: str = "train") -> Manifest:
    lat, lon = np.array(positions).T
    files = [f"{i}.jpg" for i in range(len(positions))]
    table = pd.DataFrame({"file": files, "country": "FR", "lat": lat, "lon": lon, "place": files, "split": part})
    return Manifest(table, Path("photos"), "0" * 64)


def test_what_is_no_position_is_counted_and_named(caplog: pytest.LogCaptureFixture) -> None:
    wrong = [(NAN, 2.0), (91.0, 2.0), (48.0, -180.5), (float("inf"), 0.0)]
    with caplog.at_level(logging.WARNING):
        found = located(manifest([(48.0, 2.0), *wrong, (NAN, NAN), (-90.0, 180.0)]))
    assert found.manifest.table["file"].tolist() == ["0.jpg", "6.jpg"]
    assert found.without_position == 1
    assert found.impossible == ("1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert "left out 4 photos" in caplog.text
    assert "1.jpg, 2.jpg, 3.jpg, 4.jpg" in caplog.text
    np.testing.assert_array_equal(found.lat_deg, [48.0, -90.0])
    np.testing.assert_array_equal(found.lon_deg, [2.0, 180.0])


def test_a_manifest_without_any_position_is_refused() -> None:
    with pytest.raises(ManifestError, match="no photo with a position, of 2"):
        located(manifest([(NAN, NAN), (NAN, 3.0)]))


@pytest.mark.parametrize(
    ("part", "words"), [("val", "0 training photos have a position"), ("train", "is `val` in split")]
)
def test_a_task_needs_both_parts(towns: Path, part: str, words: str) -> None:
    recipe = RECIPES.read(str(towns / "tiny.toml"), ['data.validation_splits=["split"]'])
    with pytest.raises(RecipeError, match=words):
        build_position_data(manifest([(48.0, 2.0), (47.0, 3.0)], part), recipe)


def test_scaling_is_that_of_scikit_learn_and_leaves_a_constant_column() -> None:
    # 0.1 three times has a computed deviation that is not quite nothing.
    values = np.column_stack([np.random.default_rng(0).normal(5, 3, 30), np.full(30, 0.1)])
    found = fit_standardisation(values)
    np.testing.assert_allclose(found.apply(values), StandardScaler().fit_transform(values), atol=1e-12)
    assert found.scale[1] == 1.0
    np.testing.assert_allclose(found.undo(found.apply(values)), values)
    again = read_standardisation(found.to_dict())
    np.testing.assert_array_equal(again.apply(values), found.apply(values))
