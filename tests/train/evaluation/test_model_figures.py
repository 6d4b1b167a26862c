import numpy as np
import pandas as pd
import pytest

from triovision.inference.card import Calibration, ModelCard, Provenance
from triovision.inference.preprocessing import Preprocessing
from triovision.metrics.model_figures import read_figures
from triovision.train.evaluation.model_figures import TopAnswers, measure_figures, write_figures

CARD = ModelCard(
    id="tiny.photos",
    summary="s",
    engine="country_classifier",
    architecture="test_efficientnet",
    preprocessing=Preprocessing(input_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    labels=("FR", "IT", "JP"),
    calibration=Calibration(
        temperature=1.0,
        conformal_threshold=0.1,
        conformal_coverage=0.9,
        abstention_threshold=0.7,
        fitted_on="photos",
    ),
    weights_sha256="a" * 64,
    provenance=Provenance(recipe={}, manifest_sha256="0" * 64, photos=1, command="c", data="d"),
    metrics={},
    knows="k",
    limits="l",
    licence="Apache-2.0",
)
PHOTOS = pd.DataFrame(
    [
        ("FR", "FR", 0.9, True, 0),
        ("FR", "IT", 0.85, True, 0),
        ("FR", "FR", 0.5, False, 1),
        ("JP", "FR", 0.4, False, 1),
    ],
    columns=["truth", "answer", "probability", "answered", "source"],
)


@pytest.fixture
def figures():
    answers = TopAnswers(
        truth=PHOTOS["truth"].to_numpy(str),
        answer=PHOTOS["answer"].to_numpy(str),
        probability=PHOTOS["probability"].to_numpy(np.float64),
        answered=PHOTOS["answered"].to_numpy(np.bool_),
        source=PHOTOS["source"].to_numpy(np.intp),
    )
    return measure_figures(answers, CARD, "four photos", "command")


def test_figures_are_those_counted_by_hand(figures):
    assert (figures.photos, figures.sources, figures.top1) == (4, 2, 0.5)
    assert (figures.top1_low, figures.top1_high) == (0.5, 0.5)  # each source has one right answer of two
    france, japan = figures.countries
    assert (france.country, france.photos, france.right, france.sources) == ("FR", 3, 2, 2)
    assert france.recall == pytest.approx(2 / 3)
    assert (japan.country, japan.recall, japan.sources, japan.low, japan.high) == ("JP", 0.0, 1, None, None)
    cells = {(cell.truth, cell.answer): cell.photos for cell in figures.continents}
    assert cells == {("EU", "EU"): 3, ("AS", "EU"): 1}
    assert (figures.at_threshold.coverage, figures.at_threshold.risk) == (0.5, 0.5)
    # Bins of a fifteenth: 0.4 lies in [6/15, 7/15), 0.5 in [7/15, 8/15), 0.85 in [12/15, 13/15), 0.9 in the next.
    assert [(one.photos, one.probability, one.accuracy) for one in figures.reliability] == [
        (1, pytest.approx(0.4), 0.0),
        (1, pytest.approx(0.5), 1.0),
        (1, pytest.approx(0.85), 0.0),
        (1, pytest.approx(0.9), 1.0),
    ]
    assert figures.expected_calibration_error == pytest.approx((0.4 + 0.5 + 0.85 + 0.1) / 4)
    assert [(one.coverage, one.risk) for one in figures.risk_coverage] == [
        (0.25, 0.0),
        (0.5, 0.5),
        (0.75, pytest.approx(1 / 3)),
        (1.0, 0.5),
    ]


def test_written_figures_are_read_again(figures, tmp_path):
    write_figures(tmp_path, figures)
    assert read_figures(tmp_path, CARD.id, CARD.weights_sha256) == figures
