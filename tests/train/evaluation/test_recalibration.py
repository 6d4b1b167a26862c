"""Recalibration on predictions whose miscalibration is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from triovision.errors import ManifestError
from triovision.geo import CandidatePlaces
from triovision.inference import ModelCard
from triovision.inference.calibration import probabilities
from triovision.inference.card import Calibration, Provenance
from triovision.inference.prediction import build_prediction_fields, rank_countries
from triovision.inference.preprocessing import Preprocessing
from triovision.results import Prediction
from triovision.train.evaluation.labelled_photos import cross_fit_halves
from triovision.train.evaluation.predict import ManifestPredictions
from triovision.train.evaluation.recalibration import Recalibration, recalibrate

LABELS = ("BR", "CN", "FR", "JP", "NA", "US")
PLACES = CandidatePlaces(LABELS, 3)
CARD = ModelCard(
    id="test.synthetic",
    summary="Synthetic",
    architecture="test",
    preprocessing=Preprocessing(input_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    labels=LABELS,
    calibration=Calibration(
        temperature=0.5, conformal_threshold=0.5, conformal_coverage=0.9, abstention_threshold=0.2, fitted_on="others"
    ),
    weights_sha256="0" * 64,
    provenance=Provenance(recipe={}, manifest_sha256="", photos=0, command="", data=""),
    metrics={},
    knows="",
    limits="",
    licence="",
)


def predict(logits: NDArray[np.float64]) -> Prediction:
    probability = probabilities(logits[None], 1.0)[0]
    posterior = PLACES.weighted(probability)
    fields = build_prediction_fields(rank_countries(LABELS, probability), posterior, CARD.calibration, len(LABELS))
    return Prediction(photo="", model=CARD.id, **fields, elapsed_ms=0, device="cpu", precision="float32")


def some_photos(n: int, overconfidence: float = 3.0, seed: int = 0, scale: float = 2.0) -> ManifestPredictions:
    """Photos whose countries are drawn from honest probabilities; the model's logits are these times a factor."""
    random = np.random.default_rng(seed)
    honest = random.normal(size=(n, len(LABELS))) * scale
    countries = [LABELS[random.choice(len(LABELS), p=p)] for p in probabilities(honest, 1.0)]
    table = pd.DataFrame({"file": [f"{i}.jpg" for i in range(n)], "country": countries, "lat": np.nan, "lon": np.nan})
    return ManifestPredictions(tuple(predict(row * overconfidence) for row in honest), table, ())


def fit(photos: ManifestPredictions, accuracy: float = 0.8) -> Recalibration:
    return recalibrate(photos, CARD, accuracy, "mine.csv", lambda: None)


def test_overconfident_logits_get_their_temperature_back() -> None:
    result = fit(some_photos(3000))
    # The card divided by 0.5 already: what is fitted multiplies that.
    assert result.calibration.temperature == pytest.approx(0.5 * 3, rel=0.1)
    assert result.before.calibration_error > 0.15
    assert result.after.calibration_error < 0.05
    assert result.after.top1 == result.before.top1
    assert result.after.answered_accuracy == pytest.approx(0.8, abs=0.03)
    assert result.after.set_coverage == pytest.approx(0.9, abs=0.03)
    assert result.calibration.part_of_world_threshold == 1


def test_the_words_name_photos_sources_and_manifest() -> None:
    photos = some_photos(60)
    fitted_on = fit(photos).calibration.fitted_on
    assert fitted_on.startswith("60 photos of unnamed sources, manifest mine.csv, 2")
    assert fitted_on.endswith("radii not fitted, as in the card: others")
    photos.table["source"] = ["a", "b", "c"] * 20
    assert fit(photos).calibration.fitted_on.startswith("60 photos of 3 sources, manifest mine.csv")


def test_unknown_countries_are_wrong_and_change_neither_temperature_nor_set() -> None:
    known = some_photos(400)
    unknown = some_photos(400, seed=1)
    unknown.table["country"] = "IS"
    both = ManifestPredictions(
        known.predictions + unknown.predictions, pd.concat([known.table, unknown.table], ignore_index=True), ()
    )
    alone, together = fit(known), fit(both)
    assert together.calibration.temperature == pytest.approx(alone.calibration.temperature)
    assert together.calibration.conformal_threshold == pytest.approx(alone.calibration.conformal_threshold)
    assert together.before.top1 == pytest.approx(alone.before.top1 / 2)
    assert alone.calibration.abstention_threshold < together.calibration.abstention_threshold == 1


def test_a_model_that_never_reaches_the_accuracy_always_abstains() -> None:
    result = fit(some_photos(100, scale=0.1), accuracy=0.99)
    assert result.calibration.abstention_threshold == 1
    assert result.after.answered == 0
    assert result.after.answered_accuracy is None


def test_radii_hold_what_they_promise_at_the_new_temperature() -> None:
    photos = some_photos(1000)
    random = np.random.default_rng(5)
    # The true place is one of the model's own, 40 km north or south of it.
    for row, country in enumerate(photos.table["country"]):
        i = random.choice(np.flatnonzero(np.array(PLACES.cities.countries) == country))
        photos.table.loc[row, "lat"] = PLACES.cities.lat_deg[i] + random.choice([-0.36, 0.36])
        photos.table.loc[row, "lon"] = PLACES.cities.lon_deg[i]
    result = fit(photos)
    assert (result.located, result.radii_fitted) == (1000, True)
    assert result.after.radius_holds == pytest.approx(0.5, abs=0.05)
    assert result.after.radius_90_holds == pytest.approx(0.9, abs=0.05)
    assert result.before.radius_90_holds is not None
    assert result.before.radius_90_holds < 0.8


def test_photos_at_city_centres_leave_a_radius() -> None:
    photos = some_photos(100, scale=20)  # always right
    for row, prediction in enumerate(photos.predictions):
        photos.table.loc[row, ["lat", "lon"]] = [prediction.place.lat_deg, prediction.place.lon_deg]
    assert 0 < fit(photos).calibration.radius_factor < 1


def test_a_large_source_does_not_drown_a_small_one() -> None:
    honest, overconfident = some_photos(900, 1.0), some_photos(100, 4.0, seed=1)
    table = pd.concat([honest.table, overconfident.table], ignore_index=True)
    both = ManifestPredictions(honest.predictions + overconfident.predictions, table, ())
    unnamed = fit(both).calibration.temperature
    table["source"] = ["large"] * 900 + ["small"] * 100
    # 900 and 100 photos count 30 and 10.
    assert fit(both).calibration.temperature > unnamed * 1.05


def test_no_source_is_in_both_halves() -> None:
    table = pd.DataFrame({"source": list("aaaabbbccd") * 10, "place": [str(i % 50) for i in range(100)]})
    known = np.ones(100, np.bool_)
    column, half = cross_fit_halves(table, known)
    assert column == "source"
    assert set(table["source"][half]).isdisjoint(table["source"][~half])
    assert half.sum() == 50
    # One source fills one half: places divide, and without places single photos.
    column, half = cross_fit_halves(table.assign(source="a"), known)
    assert (column, set(table["place"][half]) & set(table["place"][~half])) == ("place", set())
    column, half = cross_fit_halves(table[["source"]].assign(source="a"), known)
    assert (column, half.sum()) == ("photo", 50)


def test_too_few_photos_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"mine\.csv: has 49 readable photos.*at least 50"):
        fit(some_photos(49))
    same = some_photos(60)
    same.table["country"] = "FR"
    with pytest.raises(ManifestError, match="60 readable photos of 1 countries"):
        fit(same)
