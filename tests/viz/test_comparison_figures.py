from __future__ import annotations

import math

import pytest

from triovision.metrics.country import CountryScore, Epoch
from triovision.viz import comparison_figures
from triovision.viz.palette import DARK, LIGHT

EPOCHS = (Epoch(epoch=1, values={"new/top1": 0.2}), Epoch(epoch=2, values={"new/top1": 0.4}))


def country(code: str, recall: float | None, photos: int) -> CountryScore:
    return CountryScore(
        country=code, continent="EU", training_photos=50, photos=photos, answers=1, recall=recall, precision=None
    )


def test_seeds_have_a_mean_and_a_spread() -> None:
    bars, dots = comparison_figures.seed_bars({"a": [0.5, 0.7], "b": [0.4]}, LIGHT, "top-1").data
    assert list(bars.x) == pytest.approx([0.6, 0.4])
    assert list(bars.error_x.array) == pytest.approx([0.02**0.5, 0])
    assert (list(dots.x), list(dots.y)) == ([0.5, 0.7, 0.4], ["a", "a", "b"])


def test_curves_of_several_runs_lie_on_one_figure() -> None:
    lines = comparison_figures.overlaid_accuracy({"a": EPOCHS, "b": EPOCHS[:1]}, "new", LIGHT).data
    assert [(line.name, list(line.y)) for line in lines] == [("a", [0.2, 0.4]), ("b", [0.2])]


def test_the_difference_is_the_second_minus_the_first() -> None:
    old = (country("FR", 0.75, 4), country("JP", 0.5, 4), country("DE", 0.5, 4))
    new = (country("NA", 0.5, 2), country("JP", 0.0, 3), country("DE", None, 0), country("FR", 1.0, 5))
    (bars,) = comparison_figures.country_difference(old, new, ("old", "new"), LIGHT).data
    assert list(bars.x) == [-0.5, 0.25]  # worst first; DE has no photos in the second
    assert [label.split(" ")[1] for label in bars.y] == ["JP", "FR"]
    assert bars.marker.color[0] != bars.marker.color[1]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_every_run_its_mean_and_its_spread_are_shown(palette: object) -> None:
    metrics = {
        "top1": [0.5, 0.7, 0.9],
        "aurc": [0.2, math.nan, 0.4],
        "gap": [math.nan] * 3,
        "one": [1, math.nan, math.nan],
    }
    figure = comparison_figures.metric_spread(metrics, ("fold-1", "fold-2", "<b>fold-3</b>"), palette, ".0%")
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
