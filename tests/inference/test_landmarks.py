from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save

from triovision.errors import ModelError
from triovision.inference.landmarks import Landmark, LandmarkIndex, build_index, read_index, unit_rows

EIFFEL = Landmark(name="Eiffel Tower, Paris", country="FR", lat_deg=48.8584, lon_deg=2.2945)
TROCADERO = Landmark(name="Trocadéro, Paris", country="FR", lat_deg=48.8616, lon_deg=2.2893)  # 0.5 km away
TOKYO = Landmark(name="Tokyo Tower", country="JP", lat_deg=35.6586, lon_deg=139.7454)
EYE = np.eye(4, dtype=np.float32)
EVEN = np.zeros(3, np.float32)  # a prior


def index() -> LandmarkIndex:
    """Two photos of the Eiffel Tower, one of each other landmark, along the axes."""
    return build_index(EYE, EYE, [EIFFEL, TOKYO, TROCADERO, EIFFEL])


def test_the_most_similar_landmark_is_that_of_the_most_similar_photo() -> None:
    match = index().match(unit_rows(np.array([[0.1, 0, 0, 0.9]], np.float32))[0], EVEN)
    assert match.landmark == EIFFEL
    assert match.score == pytest.approx(0.9 / np.hypot(0.1, 0.9))


def test_margin_and_lead_leave_out_landmarks_within_a_kilometre() -> None:
    match = index().match(unit_rows(np.array([[0.8, 0.2, 0.7, 0]], np.float32))[0], EVEN)
    length = np.sqrt(0.8**2 + 0.2**2 + 0.7**2)
    # Tokyo is the only landmark further away; the Trocadéro is more similar and too near to count.
    assert match.landmark == EIFFEL
    assert match.evidence == pytest.approx((0.8 / length, 0.6 / length, 0.6 / length))


def test_a_probable_country_and_few_photos_raise_the_score() -> None:
    log_country_nl = np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]).astype(np.float32)
    prior = index().prior(log_country_nl, ("FR", "JP", "US"), country_weight=0.5, photos_weight=-0.2)
    eiffel, tokyo = (index().landmarks.index(one) for one in (EIFFEL, TOKYO))
    assert prior.shape == (2, 3)
    np.testing.assert_allclose(prior[:, tokyo], 0.5 * np.log([0.25, 0.8]), rtol=1e-5)
    np.testing.assert_allclose(prior[:, eiffel], 0.5 * np.log([0.5, 0.1]) - 0.2 * np.log(2), rtol=1e-5)
    # As similar to both; the country decides.
    photo = unit_rows(np.array([[0.7, 0.7, 0, 0]], np.float32))
    france, japan = index().matches(np.repeat(photo, 2, axis=0), prior)
    assert (france.landmark, japan.landmark) == (EIFFEL, TOKYO)
    assert japan.score == pytest.approx(np.sqrt(0.5) + 0.5 * np.log(0.8))


def test_an_index_of_one_landmark_compares_with_nothing() -> None:
    match = build_index(EYE, EYE[:1], [TOKYO]).match(EYE[0], EVEN[:1])
    assert match.evidence == pytest.approx((1, 1, 1))


def test_an_index_survives_its_file_within_the_rounding_of_int8() -> None:
    random = np.random.default_rng(0)
    vectors = unit_rows(random.normal(size=(4, 8)).astype(np.float32))
    projection = random.normal(size=(5, 8)).astype(np.float32)
    before = build_index(projection, vectors, [TOKYO, EIFFEL, EIFFEL, TROCADERO])
    after = read_index(before.to_bytes(), "x")
    assert after.landmarks == before.landmarks
    np.testing.assert_array_equal(after.landmark_of, before.landmark_of)
    np.testing.assert_allclose(after.vectors, before.vectors, atol=0.01)
    np.testing.assert_allclose(after.projection, projection, rtol=1e-3)


def test_photos_are_added_to_their_landmark() -> None:
    more = index().with_photos(unit_rows(np.array([[0, 1, 1, 0]], np.float32)), [TOKYO])
    assert len(more.landmarks) == 3
    assert np.bincount(more.landmark_of)[more.landmarks.index(TOKYO)] == 2
    assert more.match(unit_rows(np.array([[0, 1, 1, 0]], np.float32))[0], EVEN).landmark == TOKYO


def file(landmark_of: list[int], landmarks: object, vectors: int = 2) -> bytes:
    tensors = {
        "projection": np.ones((3, 4), np.float16),
        "vectors": np.ones((vectors, 4), np.int8),
        "landmark_of": np.array(landmark_of, np.int32),
    }
    return save(tensors, {"landmarks": json.dumps(landmarks)})


TWO = [EIFFEL.model_dump(), TOKYO.model_dump()]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk of some length",
        save({"vectors": np.ones((2, 4), np.int8)}),
        file([0, 2], TWO),  # the second landmark has no photo
        file([1, 0], TWO),  # not in order
        file([0], TWO),
        file([0, 1], TWO, vectors=3),
        file([0, 1], [TWO[0], TWO[1] | {"lat_deg": 91}]),
        file([0, 1], [TWO[0], TWO[1] | {"country": "??"}]),
        file([0, 1], "none"),
    ],
)
def test_a_damaged_index_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"some/index.*is no landmark index"):
        read_index(content, "some/index")
