from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from triovision.errors import ManifestError
from triovision.geo import distance_km
from triovision.train.data.manifest import Manifest
from triovision.train.evaluation.training_distance import BANDS_KM, by_training_distance, nearest_training_km


def located(*positions: tuple[float, float]) -> Manifest:
    return Manifest(pd.DataFrame(positions, columns=["lat", "lon"]), Path(), "")


def test_the_nearest_training_photo_is_found_across_the_date_line() -> None:
    training = located((0, 179.9), (48.85, 2.35), (np.nan, np.nan))
    found = nearest_training_km(np.array([0, 48.85, np.nan]), np.array([-179.9, 2.36, np.nan]), training)
    assert found[0] == pytest.approx(float(distance_km(0, 179.9, 0, -179.9)))
    assert found[1] == pytest.approx(float(distance_km(48.85, 2.35, 48.85, 2.36)))
    assert np.isnan(found[2])
    with pytest.raises(ManifestError, match="no training photo with a position"):
        nearest_training_km(np.zeros(1), np.zeros(1), located((np.nan, np.nan)))


def test_errors_are_summarised_in_the_band_of_their_nearest_training_photo() -> None:
    nearest = np.array([0, 0.99, 1, 24.9, 25, 5000, np.nan, 3])
    error = np.array([10, 30, 100, 300, 20, 9000, np.nan, np.nan])
    found = by_training_distance(error, nearest)
    assert [found[f"trained_{band}_photos"] for band in BANDS_KM] == [2, 2, 1, 1]
    assert [found[f"trained_{band}_median_km"] for band in BANDS_KM] == [20, 200, 20, 9000]
    assert [found[f"trained_{band}_within_25_km"] for band in BANDS_KM] == [0.5, 0, 1, 0]
    assert [found[f"trained_{band}_within_200_km"] for band in BANDS_KM] == [1, 0.5, 1, 0]


def test_an_empty_band_has_no_median() -> None:
    found = by_training_distance(np.array([1.0]), np.array([300.0]))
    assert found["trained_under_1_km_photos"] == 0
    assert found["trained_under_1_km_median_km"] is None
