from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from triovision.collections.entries import CorrectedPosition
from triovision.collections.fusion import fuse, movement_factor
from triovision.geo import WeightedPlaces
from triovision.guesses import CountryGuess, PlaceGuess
from triovision.inference.card import Calibration
from triovision.results import CameraFacts

NOON = datetime(2024, 5, 6, 12)
CALIBRATION = Calibration(
    temperature=1, conformal_threshold=0.05, conformal_coverage=0.9, abstention_threshold=0.5, fitted_on="made by hand"
)
LIMA, PARIS = (-12.05, -77.04), (48.86, 2.35)


def places(lima, resolution_km=0.0):
    return WeightedPlaces(
        lat_deg=np.array([LIMA[0], PARIS[0]]),
        lon_deg=np.array([LIMA[1], PARIS[1]]),
        weight=np.array([lima, 1 - lima]),
        countries=np.array(["PE", "FR"]),
        names=("Lima", "Paris"),
        resolution_km=resolution_km,
    )


@pytest.fixture
def photo(make_entry):
    """Makes a photo that was taken in Lima with some probability, else in Paris."""

    def make(lima, at, **values):
        ranked = sorted([CountryGuess("PE", lima), CountryGuess("FR", 1 - lima)], key=lambda one: -one.probability)
        return make_entry(posterior=places(lima), countries=tuple(ranked), camera=CameraFacts(taken_at=at), **values)

    return make


def test_the_factor_falls_with_the_distance_and_never_below_a_tenth():
    degree_km = 6371.0088 * math.pi / 180
    away_km = np.array([[0.0], [degree_km], [180 * degree_km]])
    (factor,) = movement_factor(away_km, np.ones((1, 1)), hours=0.5)
    assert factor == pytest.approx([1.0, 0.1 + 0.9 * math.exp(-degree_km / 45), 0.1])


def test_a_sure_neighbour_pulls_an_unsure_photo_to_its_place(photo):
    first, second = fuse([photo(0.4, NOON), photo(1.0, NOON + timedelta(minutes=30))], CALIBRATION)
    # Lima and Paris are 10,000 km apart: the factors are 1 and 0.1.
    assert first.fused.posterior.weight == pytest.approx([0.4 / 0.46, 0.06 / 0.46])
    assert (first.answer.countries[0].country, first.answer.countries[0].probability) == (
        "PE",
        pytest.approx(0.4 / 0.46),
    )
    assert first.prediction.countries[0].country == "FR"
    assert first.answer.place.name == "Lima"
    assert first.position_origin == "fused"
    # The sure one has no second place.
    assert second.fused.posterior.weight == pytest.approx([1, 0])


def test_many_neighbours_count_as_one(photo):
    burst = [photo(1.0, NOON + timedelta(seconds=second)) for second in range(1, 7)]
    first = fuse([photo(0.4, NOON), *burst], CALIBRATION)[0]
    assert first.fused.posterior.weight == pytest.approx([0.4 / 0.46, 0.06 / 0.46], rel=1e-3)


def test_only_photos_within_an_hour_are_neighbours(photo):
    alone, other = fuse([photo(0.4, NOON), photo(1.0, NOON + timedelta(minutes=61))], CALIBRATION)
    assert alone.fused is None
    assert other.fused is None
    without_time, timed = fuse([replace(photo(0.4, NOON), camera=CameraFacts()), photo(1.0, NOON)], CALIBRATION)
    assert without_time.fused is None
    assert timed.fused is None


def test_times_with_and_without_offset_share_the_clock_of_the_camera(photo):
    first, _ = fuse([photo(0.4, NOON), photo(1.0, NOON.replace(tzinfo=UTC))], CALIBRATION)
    assert first.answer.countries[0].country == "PE"


def test_a_corrected_neighbour_counts_with_its_position(photo):
    corrected = photo(1.0, NOON, corrected=CorrectedPosition(*PARIS, "hand"))
    first, _ = fuse([photo(0.6, NOON), corrected], CALIBRATION)
    assert first.fused.posterior.weight == pytest.approx([0.06 / 0.46, 0.4 / 0.46])


def test_a_landmark_is_kept_only_as_far_as_the_neighbours_agree(photo):
    landmark = PlaceGuess("Huaca Pucllana", "PE", *LIMA, 0.9)
    far, _ = fuse([photo(0.9, NOON, landmark=landmark), photo(0.0, NOON)], CALIBRATION)
    assert far.answer.landmark is None  # 0.9 · 0.1 / 0.19 is below 0.8
    near, _ = fuse([photo(0.9, NOON, landmark=landmark), photo(1.0, NOON)], CALIBRATION)
    assert near.answer.landmark.probability == pytest.approx(0.9 / 0.91)


def test_fusing_again_starts_from_the_photos_alone(photo):
    entries = [photo(0.4, NOON), photo(1.0, NOON)]
    once = fuse(entries, CALIBRATION)
    twice = fuse(once, CALIBRATION)
    assert twice[0].fused.posterior.weight.tolist() == once[0].fused.posterior.weight.tolist()
    assert [entry.fused for entry in fuse(once[:1], CALIBRATION)] == [None]
