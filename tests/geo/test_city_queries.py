from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triovision.geo import distance_km
from triovision.geo.city_metadata import CITY_METADATA
from triovision.geo.city_queries import CityQueries

DEGREE_KM = np.pi / 180 * 6371.0088
CITIES = CityQueries(("FR", "JP", "IS"), per_country=2)


def test_the_cities_of_the_most_probable_countries_are_selected() -> None:
    assert CITIES.cities.names[:2] == ("Paris", "Marseille")
    assert CITIES.metadata.shape == (len(CITIES.cities.names), len(CITY_METADATA))
    assert CITIES.select(np.array([0.2, 0.5, 0.3]), 1).tolist() == [2, 3]
    assert CITIES.select(np.array([0.4, 0.2, 0.4]), 2).tolist() == [0, 1, *range(4, len(CITIES.cities.names))]
    assert CITIES.select(np.array([0.2, 0.5, 0.3]), 9).tolist() == list(range(len(CITIES.cities.names)))


def test_weights_by_hand() -> None:
    cities, asked = CITIES.cities, np.array([0, 1])
    # Right on Paris; a degree north of Marseille, which is the scale, so that it weighs 1/e as much.
    answers = cities.lat_deg[asked] + [0, 1], cities.lon_deg[asked]
    weight = CITIES.weights(np.array([0.9, 0.1, 0.0]), asked, *answers, scale_km=DEGREE_KM)
    assert weight[:2] == pytest.approx([0.9 / (1 + np.exp(-1)), 0.9 * np.exp(-1) / (1 + np.exp(-1))])
    people = cities.population[2:4]
    assert weight[2:4] == pytest.approx(0.1 * people / people.sum())
    assert weight[4:].tolist() == [0.0] * len(weight[4:])
    lat_deg, lon_deg = CITIES.points(asked, *answers)
    assert distance_km(lat_deg, lon_deg, cities.lat_deg, cities.lon_deg) == pytest.approx(
        [0, DEGREE_KM, *[0] * (len(weight) - 2)]
    )


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda shares: sum(shares) > 0.01),
    st.integers(1, 3),
    st.floats(0.1, 30_000),
    st.integers(0, 2**32),
)
def test_summed_by_country_they_are_the_classifiers(shares: list[float], asked: int, scale: float, seed: int) -> None:
    probability = np.array(shares) / sum(shares)
    rows, random = CITIES.select(probability, asked), np.random.default_rng(seed)
    answers = random.uniform(-90, 90, len(rows)), random.uniform(-180, 180, len(rows))
    weight = CITIES.weights(probability, rows, *answers, scale)
    assert (weight >= 0).all()
    np.testing.assert_allclose(np.bincount(CITIES.country_index, weight), probability, atol=1e-12)


def test_an_answer_has_the_name_of_a_city_in_the_country_that_was_queried() -> None:
    asked = np.array([0, 1])
    answers = np.array([43.77, 43.30]), np.array([11.26, 5.37])  # Florence, for Paris; Marseille, for itself
    places = CITIES.places(np.array([0.9, 0.1, 0.0]), asked, *answers, scale_km=100)
    assert list(places.names[:3]) == ["Bastia", "Marseille", CITIES.cities.names[2]]
    assert places.countries[:3].tolist() == ["FR", "FR", "JP"]
    assert places.by_country() == pytest.approx({"FR": 0.9, "JP": 0.1, "IS": 0})
    assert places.best_place("FR") == 1


def test_wrong_values_are_refused() -> None:
    none = np.empty(0, np.intp)
    with pytest.raises(ValueError, match="3 values, got 2"):
        CITIES.weights(np.array([0.5, 0.5]), none, none, none, 100)
    with pytest.raises(ValueError, match="sum to 1"):
        CITIES.weights(np.array([0.5, 0.5, 0.5]), none, none, none, 100)
    with pytest.raises(ValueError, match="positive, got 0"):
        CITIES.weights(np.array([0.5, 0.5, 0.0]), none, none, none, 0)
    with pytest.raises(ValueError, match="repeat"):
        CityQueries(("FR", "FR"))
