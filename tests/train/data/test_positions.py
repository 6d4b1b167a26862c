"""Photos that can be learnt from, their scaling and their scores."""

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
from triovision.train.data.positions import located, make_task
from triovision.train.evaluation.position_scores import position_scores
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


@pytest.mark.parametrize(("part", "words"), [("val", "0 photos .* can be learnt from"), ("train", "is `val` in split")])
def test_a_task_needs_both_parts(towns: Path, part: str, words: str) -> None:
    recipe = RECIPES.read(str(towns / "tiny.toml"), ['data.validation_splits=["split"]'])
    with pytest.raises(RecipeError, match=words):
        make_task(manifest([(48.0, 2.0), (47.0, 3.0)], part), recipe)


def test_scaling_is_that_of_scikit_learn_and_leaves_a_constant_column() -> None:
    # 0.1 three times has a computed deviation that is not quite nothing.
    values = np.column_stack([np.random.default_rng(0).normal(5, 3, 30), np.full(30, 0.1)])
    found = fit_standardisation(values)
    np.testing.assert_allclose(found.apply(values), StandardScaler().fit_transform(values), atol=1e-12)
    assert found.scale[1] == 1.0
    np.testing.assert_allclose(found.undo(found.apply(values)), values)
    again = read_standardisation(found.facts())
    np.testing.assert_array_equal(again.apply(values), found.apply(values))


def test_scores_by_hand() -> None:
    # Along the equator a degree is pi / 180 * 6371.0088 km = 111.19508 km.
    degree = np.pi / 180 * 6371.0088
    truth_lat, truth_lon = np.zeros(4), np.array([0.0, 10.0, 20.0, 30.0])
    found = position_scores(truth_lat, truth_lon, np.array([0.0, 0.0, 2.0, 0.0]), np.array([0.0, 11.0, 20.0, 60.0]))
    assert found.photos == 4
    assert found.median_km == pytest.approx(1.5 * degree)  # between 1 and 2 degrees
    assert found.mean_km == pytest.approx((0 + 1 + 2 + 30) / 4 * degree)
    shares = [getattr(found, f"within_{km}_km") for km in (1, 25, 200, 750, 2500)]
    assert shares == [0.25, 0.25, 0.5, 0.75, 0.75]
    assert found.r2_lat is None  # all photos have one latitude
    # Residuals 0, 1, 0 and 30 degrees; 15, 5, 5 and 15 degrees from the mean.
    assert found.r2_lon == pytest.approx(1 - 901 / 500)
    assert found.geo_score == pytest.approx(1250 * sum(np.exp(-n * degree / 1492.7) for n in (0, 1, 2, 30)))


def test_the_date_line_is_near_for_distances_and_far_for_r2() -> None:
    longitude = np.array([179.5, -179.5])
    found = position_scores(np.zeros(2), longitude, np.zeros(2), -longitude)
    assert found.median_km == pytest.approx(np.pi / 180 * 6371.0088)
    assert found.r2_lon == pytest.approx(1 - 359**2 / 179.5**2)
