from __future__ import annotations

import numpy as np
import pytest

from triovision.metrics.country import (
    ConfusionCell,
    CountryScore,
    Epoch,
    Reliability,
    ReliabilityBin,
    RiskPoint,
    Scores,
    SplitMetrics,
)
from triovision.viz import run_figures
from triovision.viz.palette import DARK, LIGHT
from triovision.viz.run_style import curves


def country(code: str, continent: str, recall: float | None, photos: int, answers: int = 1) -> CountryScore:
    return CountryScore(
        country=code,
        continent=continent,
        training_photos=0 if code == "NA" else 50,
        photos=photos,
        answers=answers,
        recall=recall,
        precision=None,
    )


EPOCHS = (
    Epoch(epoch=1, values={"train/loss": 2.0, "new/loss": 3.0, "val/loss": 3.0, "new/top1": 0.2}),
    Epoch(epoch=2, values={"train/loss": 1.0, "new/loss": None, "val/loss": None, "new/top1": 0.4}),
)
COUNTRIES = (
    country("NA", "AF", 0.5, 2),
    country("NG", "AF", None, 0, answers=0),
    country("JP", "AS", 0.0, 3, answers=0),
    country("DE", "EU", None, 0),
    country("FR", "EU", 1.0, 5),
)
SPLIT = SplitMetrics(
    scores=Scores(photos=10, without_label=1, top1=0.6, top5=1, macro_recall=0.5, negative_log_likelihood=1),
    countries=COUNTRIES,
    confusion=(
        ConfusionCell(truth="FR", answer="FR", photos=5, examples=()),
        ConfusionCell(truth="JP", answer="FR", photos=2, examples=("a",)),
        ConfusionCell(truth="JP", answer="DE", photos=1, examples=("b",)),
        ConfusionCell(truth="NA", answer="NA", photos=1, examples=()),
        ConfusionCell(truth="NA", answer="FR", photos=1, examples=("c",)),
        ConfusionCell(truth="US", answer="FR", photos=1, examples=("d",)),
    ),
    measured=4,
    before=None,
    after=None,
    risk_coverage=(RiskPoint(threshold=0.9, coverage=0.5, risk=0), RiskPoint(threshold=0.2, coverage=1, risk=0.5)),
    aurc=0.2,
    at_threshold=RiskPoint(threshold=0.9, coverage=0.5, risk=0),
    best=(),
    worst=(),
)


def test_loss_curves_show_training_first_and_not_the_mean_of_the_splits() -> None:
    training, new = run_figures.loss_curves(EPOCHS, LIGHT).data
    assert (training.name, list(training.x), list(training.y)) == ("train", [1, 2], [2, 1])
    assert (new.name, list(new.y)) == ("new", [3, None])
    assert training.line.dash != new.line.dash  # not by colour alone


def test_a_split_keeps_its_look_where_training_was_not_logged() -> None:
    (accuracy,) = run_figures.accuracy_curves(EPOCHS, LIGHT).data
    loss = run_figures.loss_curves(EPOCHS, LIGHT).data[1]
    assert (accuracy.name, list(accuracy.y)) == ("new", [0.2, 0.4])
    assert (accuracy.line.color, accuracy.line.dash) == (loss.line.color, loss.line.dash)


def test_names_from_outside_are_escaped() -> None:
    (line,) = run_figures.loss_curves([Epoch(epoch=1, values={"<a href='x'>/loss": 1})], LIGHT).data
    assert line.name == "&lt;a href=&#x27;x&#x27;&gt;"


def test_recall_is_drawn_for_countries_with_photos_only() -> None:
    traces = run_figures.recall_by_photos(COUNTRIES, DARK).data
    assert [(t.name, list(t.text), list(t.x), list(t.y)) for t in traces] == [
        ("Africa", ["NA"], [1], [0.5]),  # no training photo: the logarithmic axis has no 0
        ("Asia", ["JP"], [50], [0]),
        ("Europe", ["FR"], [50], [1]),
    ]


def test_the_confusion_matrix_holds_fractions_of_rows_by_continent() -> None:
    figure = run_figures.confusion_matrix(SPLIT, LIGHT)
    (cells,) = figure.data
    assert list(cells.x) == list(cells.y) == ["NA", "JP", "DE", "FR"]  # NG has neither photos nor predictions
    nan = np.nan
    expected = [[0.5, nan, nan, 0.5], [nan, nan, 1 / 3, 2 / 3], [nan] * 4, [nan, nan, nan, 1]]
    np.testing.assert_allclose(cells.z, expected)
    assert "Japan predicted as France<br>2 photos" in cells.hovertext[1][3]
    assert figure.layout.xaxis.fixedrange is figure.layout.yaxis.fixedrange is False
    assert run_figures.continent_blocks(SPLIT) == [("Africa", 0, 0), ("Asia", 1, 1), ("Europe", 2, 3)]
    assert [(s.x0, s.x1) for s in figure.layout.shapes] == [(-0.5, 0.5), (0.5, 1.5), (1.5, 3.5)]


def test_the_reliability_diagram_has_both_curves() -> None:
    bins = (
        ReliabilityBin(photos=3, probability=0.2, accuracy=0.4),
        ReliabilityBin(photos=1, probability=0.9, accuracy=1),
    )
    before = Reliability(temperature=1, expected_calibration_error=0.2, negative_log_likelihood=1, bins=bins)
    after = before.model_copy(update={"temperature": 2, "expected_calibration_error": 0.1, "bins": bins[:1]})
    diagonal, first, second = run_figures.reliability_diagram(before, after, LIGHT).data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert (list(first.x), list(first.y)) == ([0.2, 0.9], [0.4, 1])
    assert list(second.x) == [0.2]
    assert "20%" in first.name
    assert "10%" in second.name
    assert first.marker.size[0] - 5 == pytest.approx(3**0.5 * (first.marker.size[1] - 5))
    assert len(run_figures.reliability_diagram(before, None, LIGHT).data) == 2


def test_the_fitted_threshold_is_marked_on_the_risk_coverage_curve() -> None:
    curve, mark = run_figures.risk_coverage_curve(SPLIT, LIGHT).data
    assert (list(curve.x), list(curve.y)) == ([0.5, 1], [0, 0.5])
    assert (list(mark.x), list(mark.y)) == ([0.5], [0])
    unfitted = SPLIT.model_copy(update={"at_threshold": None})
    assert len(run_figures.risk_coverage_curve(unfitted, LIGHT).data) == 1


@pytest.mark.parametrize(("epochs", "step"), [(3, 1), (10, 1), (11, 2), (50, 5)])
def test_ticks_are_whole_epochs(epochs: int, step: int) -> None:
    line = (list(range(1, epochs + 1)), [0.5] * epochs)
    assert curves({"new_places": line}, LIGHT, "loss").layout.xaxis.dtick == step
