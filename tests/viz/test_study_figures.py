import pytest

from triovision.languages import ENGLISH, get_translator
from triovision.metrics.country import Epoch
from triovision.metrics.model_studies import (
    ComparedRow,
    Comparison,
    HyperparameterStudy,
    Measure,
    TrainingCurves,
    Trial,
    ValidationSplit,
)
from triovision.viz.palette import DARK, LIGHT
from triovision.viz.study_figures import (
    comparison_figure,
    curves_figure,
    history_figure,
    importance_figure,
    slice_figure,
)

COMMON = {"name": "tiny", "measured_on": "photos", "command": "command"}


def label(name):
    return name.replace("_", " ")


def test_the_interval_stands_at_the_epoch_that_was_kept():
    run = TrainingCurves(
        **COMMON,
        training_photos=9,
        splits=(ValidationSplit(name="new_places", photos=10, top1_low=0.4, top1_high=0.8),),
        best_epoch=2,
        epochs=(
            Epoch(epoch=1, values={"train/top1": 0.5, "new_places/top1": 0.3}),
            Epoch(epoch=2, values={"train/top1": 0.9, "new_places/top1": 0.6}),
        ),
    )
    training, validation = curves_figure(run, "top1", "Accuracy", label, LIGHT, get_translator("fr")).data
    assert (training.name, validation.name) == ("train", "new places")
    assert list(validation.y) == [0.3, 0.6]
    assert list(validation.error_y.array) == pytest.approx([0, 0.2])
    assert list(validation.error_y.arrayminus) == pytest.approx([0, 0.2])
    assert training.error_y.array is None
    assert len(curves_figure(run, "loss", "Loss", label, LIGHT, ENGLISH).data) == 0


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_rows_of_a_comparison_have_their_spread(palette):
    rows = [("v1", "true_city", 2000, 100), ("v2", "true_city", 1500, 50), ("control", "metadata_alone", 3000, 10)]
    comparison = Comparison(
        **COMMON,
        kind="versions",
        folds=5,
        interval=None,
        metric="median_km",
        rows=tuple(
            ComparedRow(name=name, on=on, photos=None, metrics={"median_km": Measure(value=value, sd=sd)})
            for name, on, value, sd in rows
        ),
    )
    network, control = comparison_figure(comparison, "km", label, palette, ENGLISH).data
    assert list(network.x) == [2000, 1500]
    assert list(network.error_x.array) == list(network.error_x.arrayminus) == [100, 50]
    assert list(control.y) == ["control"]


def test_names_of_recipes_are_escaped_and_broken_into_lines():
    row = {"on": "new", "photos": 4, "metrics": {"top1": Measure(value=0.5, low=0.25, high=1)}}
    names = ("comparison_tf_efficientnet_lite0", "<b>x</b>")
    comparison = Comparison(
        **COMMON,
        kind="recipes",
        folds=None,
        interval="photos",
        metric="top1",
        rows=tuple(ComparedRow(name=name, **row) for name in names),
    )
    (trace,) = comparison_figure(comparison, "top-1", label, LIGHT, ENGLISH).data
    assert list(trace.y) == ["comparison_tf_<br>efficientnet_<br>lite0", "&lt;b&gt;x&lt;/b&gt;"]
    assert list(trace.error_x.array) == [0.5, 0.5]
    assert list(trace.error_x.arrayminus) == [0.25, 0.25]


@pytest.fixture
def study():
    trials = [
        ("complete", 30.0, 0.001, "adam"),
        ("pruned", 90.0, 0.1, "sgd"),
        ("complete", 10.0, 0.01, "adam"),
        ("failed", None, 0.5, "sgd"),
        ("complete", 20.0, 0.4, "sgd"),
    ]
    return HyperparameterStudy(
        **COMMON,
        metric="val/median_km",
        direction="minimize",
        photos=7,
        count=5,
        pruned=1,
        first=30,
        best=10,
        worst=30,
        chosen={"rate": 0.01, "optimiser": "adam"},
        trials=tuple(
            Trial(number=number, state=state, value=value, parameters={"rate": rate, "optimiser": optimiser})
            for number, (state, value, rate, optimiser) in enumerate(trials)
        ),
        importances={"optimiser": 0.25, "rate": 0.75},
    )


def test_the_best_value_so_far_falls_where_it_is_minimised(study):
    finished, best = history_figure(study, "km", LIGHT, ENGLISH).data
    assert list(finished.x) == [0, 2, 4]
    assert list(finished.y) == [30, 10, 20]
    assert list(best.y) == [30, 10, 10]


def test_the_most_important_parameter_is_the_first(study):
    (bars,) = importance_figure(study, label, LIGHT, ENGLISH).data
    assert list(bars.y) == ["rate", "optimiser"]
    assert list(bars.text) == ["75%", "25%"]


def test_a_slice_marks_the_best_trial(study):
    figure = slice_figure(study, "rate", "km", label, LIGHT, ENGLISH)
    others, best = figure.data
    assert (list(others.x), list(others.y)) == ([0.001, 0.4], [30, 20])
    assert (list(best.x), list(best.y)) == ([0.01], [10])
    assert figure.layout.xaxis.type == "log"
    assert slice_figure(study, "optimiser", "km", label, LIGHT, ENGLISH).layout.xaxis.type == "category"
