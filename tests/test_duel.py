import csv
import io
import json
import random

import numpy as np
import pytest

from triovision.duel import ROUNDS, Answer, Challenge, Duel, duel_csv, duel_json, shuffled
from triovision.results import CameraFacts, Photo

PARIS, LONDON = (48.8566, 2.3522), (51.5074, -0.1278)


def challenge(name="secret Paris.jpg", truth=PARIS):
    photo = Photo(
        name=name,
        image_hwc=np.zeros((4, 4, 3), np.uint8),
        original_width_px=4,
        original_height_px=4,
        format="JPEG",
        camera=CameraFacts(lat_deg=truth[0], lon_deg=truth[1], camera="X100"),
    )
    return Challenge.of(photo, truth)


def test_a_challenge_hides_name_and_metadata():
    hidden = challenge()
    assert hidden.photo.name == ""
    assert hidden.photo.camera == CameraFacts()
    assert hidden.name == "secret Paris.jpg"


def test_a_place_outside_the_earth_is_refused():
    with pytest.raises(ValueError, match="lat_deg"):
        challenge(truth=(91, 0))


def test_an_answer_is_measured():
    exact, london = Answer.to(PARIS, PARIS), Answer.to(PARIS, LONDON)
    assert (exact.distance_km, exact.score) == (0, 5000)
    assert london.distance_km == pytest.approx(343.6, abs=0.5)
    assert london.score == pytest.approx(3972, abs=2)  # 5000 / e ** (343.6 / 1492.7)


def test_a_duel_goes_through_its_rounds():
    duel = Duel([challenge("a.jpg"), challenge("b.jpg", LONDON)], "tiny.test")
    assert (duel.number, duel.over, duel.revealed) == (1, False, False)
    duel.answer(PARIS, LONDON)
    assert (duel.number, duel.revealed) == (1, True)
    assert duel.scores == (5000, pytest.approx(3972, abs=2))
    with pytest.raises(ValueError, match="already"):
        duel.answer(PARIS, PARIS)
    duel.advance()
    assert (duel.number, duel.challenge.name) == (2, "b.jpg")
    duel.answer(PARIS, LONDON)
    duel.advance()
    assert duel.over
    assert duel.scores[0] == pytest.approx(duel.scores[1])


def test_a_wrong_answer_leaves_the_round_open():
    duel = Duel([challenge()], "tiny.test")
    with pytest.raises(ValueError, match="lat_deg"):
        duel.answer((0, 181), PARIS)
    assert not duel.rounds
    assert not duel.revealed


@pytest.mark.parametrize(("photos", "rounds"), [(1, 1), (5, 5), (9, ROUNDS)])
def test_photos_are_drawn_without_repetition(photos, rounds):
    drawn = shuffled([challenge(str(number)) for number in range(photos)], random.SystemRandom())
    assert len(drawn) == len({one.name for one in drawn}) == rounds


def test_the_summary_is_json_and_csv():
    duel = Duel([challenge("=1+1.jpg")], "tiny.test")
    duel.answer(PARIS, LONDON)
    content = json.loads(duel_json(duel))
    assert content["model"] == "tiny.test"
    assert content["player_score"] == 5000
    assert content["rounds"][0]["model_distance_km"] == pytest.approx(343.6, abs=0.5)
    (row,) = csv.DictReader(io.StringIO(duel_csv(duel)))
    assert row["photo"] == "'=1+1.jpg"
    assert (row["true_lat_deg"], row["player_lon_deg"]) == ("48.8566", "2.3522")
