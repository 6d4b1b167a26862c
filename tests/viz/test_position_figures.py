from __future__ import annotations

import pytest

from triovision.metrics.country import Epoch
from triovision.metrics.position import METHODS, PhotoCounts, PositionMetrics, PositionScores
from triovision.viz.palette import LIGHT
from triovision.viz.position_figures import position_figures


def metrics(median_km: float, within_25: float, epochs: int) -> PositionMetrics:
    fractions = {
        f"within_{km}_km": fraction
        for km, fraction in zip((1, 25, 200, 750, 2500), (0, within_25, 0.6, 0.8, 1), strict=True)
    }
    scores = PositionScores(
        photos=10, median_km=median_km, mean_km=2 * median_km, r2_lat=0.5, r2_lon=None, geo_score=3000, **fractions
    )
    return PositionMetrics(
        recipe={},
        manifest_sha256="0" * 64,
        city_features=("population_class",),
        photos=PhotoCounts(training=40, validation={"fold_1": 10}, without_position=0, impossible=(), unreadable=0),
        countries="a probe",
        classifier_training_photos=0,
        scale_km=100,
        epochs=tuple(
            Epoch(epoch=n + 1, values={"val/median_km": median_km + 100 - n, "train/loss": None}) for n in range(epochs)
        ),
        splits={"fold_1": dict.fromkeys(METHODS, scores)},
    )


VERSIONS = {
    "v1": {"fold-1": metrics(100, 0.2, 3), "fold-2": metrics(300, 0.4, 2)},
    "v2": {"fold-1": metrics(500, 0.1, 1), "fold-2": metrics(500, 0.1, 1)},
}


def test_bars_are_means_with_standard_deviations() -> None:
    figures = position_figures(VERSIONS, LIGHT)
    bar, dots = figures[f"Median distance: {METHODS['true_city']}"].data
    assert list(bar.x) == [200, 500]
    assert list(bar.error_x.array) == pytest.approx([141.42135623730951, 0])  # 200 / sqrt(2)
    assert list(dots.x) == [100, 300, 500, 500]
    assert "%" not in figures[f"Median distance: {METHODS['true_city']}"].layout.xaxis.tickformat
    first, second = figures[f"Fractions within: {METHODS['candidate_cities']}"].data
    assert (first.name, second.name) == ("v1", "v2")
    assert list(first.y) == pytest.approx([0, 0.3, 0.6, 0.8, 1])
    assert list(first.error_y.array) == pytest.approx([0, 0.141421356, 0, 0, 0])
    assert list(first.x) == ["1 km", "25 km", "200 km", "750 km", "2,500 km"]
    ways = figures["Contribution of each part: v1"].data[0]
    assert list(ways.y) == list(METHODS.values())


def test_curves_are_means_over_the_folds_that_got_so_far() -> None:
    figures = position_figures(VERSIONS, LIGHT)
    first, second = figures["Training: median distance by epoch, mean over the folds"].data
    assert list(first.x) == [1, 2, 3]
    assert list(first.y) == [300, 299, 198]  # two folds, two folds, one
    assert list(second.y) == [600]
    losses = figures["Training: loss by epoch, mean over the folds"].data
    assert [list(line.y) for line in losses] == [[], []]  # what was no number is not drawn


def test_one_fold_has_no_spread() -> None:
    figures = position_figures({"v1": {"fold-1": metrics(100, 0.2, 1)}}, LIGHT)
    assert list(figures[f"Fractions within: {METHODS['true_city']}"].data[0].error_y.array) == [0] * 5
