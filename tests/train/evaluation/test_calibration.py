"""Temperature and thresholds of a classifier, and the halves of the photos that they are fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from triovision.train.evaluation.calibration import HeldOut, fit_calibration, fit_half


def test_each_split_counts_alike_in_calibration() -> None:
    # Known places: always right; new places: right half of the time, a tenth as many photos.
    names = np.array(["known"] * 200 + ["new"] * 20)
    logits = np.tile(np.array([[4.0, 0.0]], dtype=np.float32), (220, 1))
    target = np.array([0] * 200 + [0, 1] * 10)
    nowhere = np.full((220, 2), np.nan)
    calibration = fit_calibration(HeldOut(names, names, logits, target, nowhere), target_accuracy=0.7)
    calibrated = 1 / (1 + np.exp(-4 / calibration.temperature))
    assert calibrated == pytest.approx(0.75, abs=0.01)


def test_no_place_is_in_both_halves() -> None:
    places = [f"place {i % 20}" for i in range(100)]
    half = fit_half(places)
    assert {p for p, h in zip(places, half, strict=True) if h}.isdisjoint(
        {p for p, h in zip(places, half, strict=True) if not h}
    )
    assert 0 < half.sum() < 100
