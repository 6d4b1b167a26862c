from __future__ import annotations

import math

import pytest

from triovision.viz.palette import DARK, LIGHT
from triovision.viz.study_figures import metric_spread


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_every_run_its_mean_and_its_spread_are_shown(palette: object) -> None:
    metrics = {
        "top1": [0.5, 0.7, 0.9],
        "aurc": [0.2, math.nan, 0.4],
        "gap": [math.nan] * 3,
        "one": [1, math.nan, math.nan],
    }
    figure = metric_spread(metrics, ("fold-1", "fold-2", "<b>fold-3</b>"), palette, ".0%")
    dots, means = figure.data
    assert list(dots.y[:4]) == ["top1"] * 3 + ["aurc"]
    assert list(dots.x[:3]) == [0.5, 0.7, 0.9]
    assert dots.text[2] == "&lt;b&gt;fold-3&lt;/b&gt;"
    assert list(means.y) == ["top1", "aurc", "gap", "one"]
    assert means.x[0] == pytest.approx(0.7)
    assert means.x[1] == pytest.approx(0.3)
    assert means.x[2] is None or math.isnan(means.x[2])
    # sqrt(((0.2)^2 + 0 + (0.2)^2) / 2) and sqrt((0.1^2 + 0.1^2) / 1); one value has no spread.
    assert list(means.error_x.array) == pytest.approx([0.2, 0.02**0.5, 0, 0])
