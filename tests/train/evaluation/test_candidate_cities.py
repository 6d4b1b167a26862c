"""Positions with candidate cities, of a regressor with fixed predictions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from triovision.geo.city_queries import CityQueries
from triovision.inference.regressor import Regressor
from triovision.train.evaluation.candidate_cities import SCALES_KM, best_scale, cross_fitted, predict_positions
from triovision.train.recipes.position_recipe import Candidates

CITIES = CityQueries(("FR", "JP"), per_country=3)
PARIS = (CITIES.cities.lat_deg[0], CITIES.cities.lon_deg[0])


def answering(*answers: tuple[float, float]) -> Regressor:
    """For each photo the same answers for the cities that it is asked about, a feature added to the latitude."""

    def positions(features: np.ndarray, city: np.ndarray) -> np.ndarray:
        assert len(features) == len(city)
        repeated = np.tile(answers, (len(features) // len(answers), 1))
        return repeated + np.column_stack([features[:, 0], np.zeros(len(features))])

    return cast(Regressor, SimpleNamespace(positions=positions))


def test_the_answer_that_agrees_with_its_city_is_taken() -> None:
    # Asked about three French cities, it is right for the first, and some 1,500 km off the others.
    regressor = answering(PARIS, (30.0, 5.0), (30.0, 5.0))
    found = predict_positions(
        regressor, np.zeros((1, 4), np.float32), np.array([[1.0, 0.0]]), CITIES, Candidates(countries=1, per_country=3)
    )
    assert found.by_scale.shape == (len(SCALES_KM), 1, 2)
    np.testing.assert_allclose(found.by_scale[0, 0], PARIS)  # the smallest scale believes in evidence_probability alone
    np.testing.assert_allclose(found.by_scale[-1, 0], (30.0, 5.0))  # at 3,200 km, two weigh more than one
    assert found.countries_alone[0] in np.column_stack([CITIES.cities.lat_deg[:3], CITIES.cities.lon_deg[:3]])


def test_each_photo_has_its_own_answers() -> None:
    # More photos than are asked at once, each moved north by its own feature.
    north = np.linspace(0, 1, 150, dtype=np.float32)
    probability = np.tile([0.6, 0.4], (150, 1))
    found = predict_positions(
        answering(*[(10.0, 20.0)] * 6), north[:, None], probability, CITIES, Candidates(countries=2, per_country=3)
    )
    np.testing.assert_allclose(found.by_scale[0], np.column_stack([10 + north, np.full(150, 20.0)]), rtol=1e-6)


def test_the_scale_of_a_photo_is_fitted_on_the_other_half() -> None:
    # Scale 0 is best for the first two photos, scale 1 for the last two.
    error_km = np.array([[1.0, 2.0, 90.0, 80.0], [50.0, 60.0, 3.0, 4.0]])
    half = np.array([True, True, False, False])
    assert cross_fitted(error_km, half).tolist() == [1, 1, 0, 0]
    assert cross_fitted(error_km, np.full(4, True)).tolist() == [1] * 4  # medians 41 and 27
    assert best_scale(error_km) == 1


def test_equal_scales_give_the_first() -> None:
    assert best_scale(np.ones((3, 5))) == 0
    assert SCALES_KM[0] == pytest.approx(25)
