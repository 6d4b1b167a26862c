from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from triovision.geo import WeightedPlaces, distance_km, geo_score
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import Prediction
from triovision.train.evaluation.predict import (
    ManifestPredictions,
    country_metrics,
    distance_metrics,
    evaluation_metrics,
    right_answers,
)

LABELS = ("FR", "JP", "US")


def predict(*probability: float, abstained: bool = False, place: tuple[float, float] = (0, 0)) -> Prediction:
    order = sorted(zip(LABELS, probability, strict=True), key=lambda pair: -pair[1])
    return Prediction(
        photo="x.jpg",
        model="m",
        countries=tuple(CountryGuess(code, p) for code, p in order),
        country_set=tuple(code for code, p in order if p >= 0.3),
        place=PlaceGuess("somewhere", order[0][0], *place, probability=1),
        radius_km=200,
        radius_90_km=20_000,
        places=(),
        posterior=WeightedPlaces(
            lat_deg=np.zeros(1), lon_deg=np.zeros(1), weight=np.ones(1), countries=np.array([order[0][0]])
        ),
        area=Area(kind="unknown", probability=1),
        abstained=abstained,
        elapsed_ms=1,
        device="cpu",
        precision="float32",
    )


def test_country_figures_by_hand() -> None:
    predictions = [
        predict(0.8, 0.1, 0.1),
        predict(0.6, 0.3, 0.1),
        predict(0.2, 0.5, 0.3),
        predict(0.5, 0.2, 0.3, abstained=True),
    ]
    # Right, wrong (second), right, and a country that the model does not know.
    metrics = country_metrics(predictions, ["FR", "JP", "JP", "NA"], LABELS)
    assert metrics["photos_known_country"] == 3
    assert metrics["country_top1"] == pytest.approx(2 / 4)
    assert metrics["country_top1_known"] == pytest.approx(2 / 3)
    assert metrics["country_top5"] == pytest.approx(3 / 4)
    assert metrics["country_top5_known"] == 1
    # Recalls: FR 1, JP 1/2, NA 0.
    assert metrics["country_macro_recall"] == pytest.approx(0.5)
    assert metrics["country_macro_recall_known"] == pytest.approx(0.75)
    assert metrics["answered"] == pytest.approx(3 / 4)
    assert metrics["answered_accuracy"] == pytest.approx(2 / 3)
    expected_loss = -(math.log(0.8) + math.log(0.3) + math.log(0.5)) / 3
    assert metrics["negative_log_likelihood_known"] == pytest.approx(expected_loss)
    # Bins of 1/15: 0.8 alone (right), 0.6 alone (wrong), 0.5 twice (one right).
    expected_error = (abs(1 - 0.8) + abs(0 - 0.6) + 2 * abs(0.5 - 0.5)) / 4
    assert metrics["expected_calibration_error"] == pytest.approx(expected_error)
    assert metrics["country_set_coverage_known"] == 1
    assert metrics["country_set_size"] == pytest.approx((1 + 2 + 2 + 2) / 4)


def test_only_unknown_countries_leave_the_known_figures_open() -> None:
    metrics = country_metrics([predict(0.8, 0.1, 0.1)], ["NA"], LABELS)
    assert metrics["country_top1"] == 0
    assert metrics["country_top1_known"] is None
    assert metrics["negative_log_likelihood_known"] is None


def test_distance_figures_by_hand() -> None:
    predictions = [predict(1, 0, 0, place=(48.85, 2.35)), predict(1, 0, 0, place=(35.7, 139.7)), predict(1, 0, 0)]
    table = pd.DataFrame({"lat": [48.86, 51.5, np.nan], "lon": [2.35, -0.1, np.nan]})
    metrics = distance_metrics(predictions, table)
    near, far = float(distance_km(48.86, 2.35, 48.85, 2.35)), float(distance_km(51.5, -0.1, 35.7, 139.7))
    assert metrics["photos_with_position"] == 2
    assert metrics["median_km"] == pytest.approx((near + far) / 2)
    assert metrics["mean_km"] == pytest.approx((near + far) / 2)
    assert metrics["within_1_km"] == 0
    assert metrics["within_25_km"] == 0.5
    assert metrics["within_2500_km"] == 0.5
    assert metrics["geo_score"] == pytest.approx(float(geo_score(np.array([near, far])).mean()))
    assert metrics["radius_holds"] == 0.5
    assert metrics["radius_90_holds"] == 1


def test_no_position_at_all_leaves_the_distances_open() -> None:
    metrics = distance_metrics([predict(1, 0, 0)], pd.DataFrame({"lat": [np.nan], "lon": [np.nan]}))
    assert metrics["photos_with_position"] == 0
    assert metrics["median_km"] is None
    assert metrics["geo_score"] is None
    assert metrics["radius_90_holds"] is None


def test_figures_by_source_stand_beside_those_by_photo() -> None:
    predictions = (*[predict(0.8, 0.1, 0.1)] * 6, predict(0.1, 0.8, 0.1), predict(0.1, 0.8, 0.1))
    table = pd.DataFrame(
        {
            "country": ["FR"] * 8,
            "lat": np.nan,
            "lon": np.nan,
            "place": ["a", "a", "b", "b", "c", "c", "d", "d"],
            "source": ["large"] * 6 + ["small"] * 2,
        },
        index=[3, 5, 6, 7, 8, 9, 11, 12],  # the rows of a larger manifest
    )
    metrics = evaluation_metrics(ManifestPredictions(predictions, table, ()), LABELS)
    assert (metrics["sources"], metrics["places"]) == (2, 4)
    assert metrics["country_top1"] == 6 / 8
    assert metrics["country_top1_by_source"] == 1 / 2
    assert (metrics["country_top1_low"], metrics["country_top1_high"]) == (0, 1)
    assert metrics["country_top5_by_source"] == metrics["country_top5_low"] == 1
    without = evaluation_metrics(ManifestPredictions(predictions, table[["country", "lat", "lon"]], ()), LABELS)
    assert without.items() <= metrics.items()
    assert not {"sources", "places", "country_top1_low"} & set(without)


def test_the_right_answers_are_told_by_rank() -> None:
    found = right_answers([predict(0.8, 0.1, 0.1)] * 3, ["FR", "JP", "NA"])
    assert found["country_top1"].tolist() == [True, False, False]
    assert found["country_top5"].tolist() == [True, True, False]
