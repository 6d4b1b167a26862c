"""Radii fitted and measured on photos whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from triovision.inference.card import Calibration
from triovision.train.evaluation.calibration import Radii

BEFORE = Calibration(
    temperature=1, conformal_threshold=0, conformal_coverage=0.9, abstention_threshold=0, fitted_on="these"
)


def some(split: list[str], half: list[bool], error_km: list[float], radius_km: float = 25) -> Radii:
    radius = np.full((len(split), 2), radius_km)
    return Radii(np.array(split, np.str_), np.array(half, np.bool_), np.array(error_km), radius)


def test_factors_are_quantiles_of_the_errors_in_radii() -> None:
    fitted = some(["known"] * 4, [True, False] * 2, [0, 25, 50, 100]).calibrated(BEFORE)
    assert (fitted.radius_factor, fitted.radius_90_factor) == (1, 4)
    assert "all 4 photos with a position" in fitted.fitted_on
    assert some([], [], []).calibrated(BEFORE) == BEFORE


def test_each_split_counts_alike() -> None:
    # Many photos that are right, few that are 100 km off: half of all weight is at either.
    found = some(["known"] * 30 + ["new"] * 3, [True] * 33, [0.0] * 30 + [100.0] * 3)
    assert found.factors(np.ones(33, np.bool_)).tolist() == [0.001, 4]  # the least factor that a card accepts


def test_no_half_is_measured_with_its_own_factor() -> None:
    # One half errs by 10 km and the other by 100 km: the factor of either is far from what the other wants.
    held = some(["new"] * 10, [True] * 5 + [False] * 5, [10.0] * 5 + [100.0] * 5).coverage()
    assert held == {"new": {"radius_holds": 0.5, "radius_90_holds": 0.5}}
    alike = some(["new"] * 40, [True, False] * 20, np.repeat(np.arange(1.0, 21), 2).tolist()).coverage()["new"]
    assert alike == {"radius_holds": pytest.approx(0.5), "radius_90_holds": pytest.approx(0.9)}
