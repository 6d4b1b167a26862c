"""Answers of the embedded models to photos that scikit-learn and scikit-image ship, compared with stored ones.

`stored_answers.json` was written by TrioVision 0.1.0 in float32 on a CPU.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from triovision.inference import load_model
from triovision.inference.batch import read_photo_file
from triovision.inference.card import CARD, ModelCard
from triovision.inference.registry import found_models

STORED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "stored_answers.json").read_text("utf-8"))
PHOTOS = {
    "china.jpg": ("sklearn", "datasets/images"),
    "flower.jpg": ("sklearn", "datasets/images"),
    "rocket.jpg": ("skimage", "data"),
}


def photo_path(name: str) -> Path:
    package, folder = PHOTOS[name]
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / folder / name


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("model_id", STORED)
def test_the_embedded_models_give_their_stored_answers(model_id: str) -> None:
    model = load_model(model_id, "cpu")
    assert set(STORED[model_id]) == set(PHOTOS)
    for name, stored in STORED[model_id].items():
        (prediction,) = model.predict([read_photo_file(photo_path(name))])
        countries = {guess.country: guess.probability for guess in prediction.countries}
        assert list(countries) == list(stored["countries"])
        assert countries == pytest.approx(stored["countries"], abs=1e-3)
        assert sorted(prediction.country_set) == stored["country_set"]
        place, expected = prediction.place, stored["place"]
        assert (place.name, place.country) == (expected["name"], expected["country"])
        found = (place.lat_deg, place.lon_deg, place.probability)
        assert found == pytest.approx([expected[field] for field in ("lat_deg", "lon_deg", "probability")], abs=0.01)
        assert prediction.radius_km == pytest.approx(stored["radius_km"], rel=0.01)
        assert prediction.radius_90_km == pytest.approx(stored["radius_90_km"], rel=0.01)
        assert prediction.abstained == stored["abstained"]


@pytest.mark.parametrize("model_id", STORED)
def test_the_cards_of_the_stored_answers_load(model_id: str) -> None:
    written = json.loads((found_models()[model_id] / CARD).read_text("utf-8"))
    card = ModelCard.model_validate(written)
    assert card.id == model_id
    assert {name: value for name, value in card.model_dump(mode="json").items() if name in written} == {
        **card.model_dump(mode="json", include=written.keys()),
        **{name: written[name] for name in ("labels", "weights_sha256", "architecture", "metrics")},
    }
