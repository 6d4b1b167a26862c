from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from triovision.errors import ModelError
from triovision.inference import CountryEngine, read_card
from triovision.inference.card import CARD, WEIGHTS

WriteModel = Callable[..., Path]

POSITION = {
    "backbone": "resnet50",
    "city_features": ["log_population"],
    "city_mean": [1.0],
    "city_scale": [1.0],
    "outputs": "standardised_degrees",
    "components": 1,
    "position_mean": [0.0, 0.0],
    "position_scale": [1.0, 1.0],
    "scale_km": 100.0,
    "asked_countries": 3,
    "cities_per_country": 10,
}
ENSEMBLE = {
    "members": [
        {"id": f"member.{name}", "weights_sha256": "0" * 64, "country_weight": 0.5, "place_weight": 0.5}
        for name in ("a", "b")
    ]
}


def edit(folder: Path, **fields: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | fields))


def load(folder: Path) -> CountryEngine:
    return CountryEngine(folder, torch.device("cpu"))


def test_what_is_written_is_read(tmp_path: Path, write_tiny_model: WriteModel) -> None:
    card = read_card(write_tiny_model(tmp_path, summary="Two words"))
    assert card.summary == "Two words"
    assert card.labels == ("CN", "FR", "NA", "US")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"labels": ["FR", "ZZ"]}, "ZZ"),
        ({"labels": ["FR", "FR"]}, "distinct"),
        ({"id": "../evil"}, "id"),
        ({"calibration": {"temperature": 0}}, "temperature"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_field_is_named(
    tmp_path: Path, write_tiny_model: WriteModel, fields: dict[str, object], words: str
) -> None:
    folder = write_tiny_model(tmp_path)
    edit(folder, **fields)
    with pytest.raises(ModelError, match=words):
        read_card(folder)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_a_damaged_card_is_refused(tmp_path: Path, write_tiny_model: WriteModel, damage: bytes) -> None:
    folder = write_tiny_model(tmp_path)
    (folder / CARD).write_bytes(damage)
    with pytest.raises(ModelError, match=r"not a valid model card.*Restore"):
        read_card(folder)


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"card\.json"):
        read_card(tmp_path)


def test_changed_weights_are_refused(tmp_path: Path, write_tiny_model: WriteModel) -> None:
    folder = write_tiny_model(tmp_path)
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        load(folder)


def test_missing_weights_are_named(tmp_path: Path, write_tiny_model: WriteModel) -> None:
    folder = write_tiny_model(tmp_path)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors"):
        load(folder)


@pytest.mark.parametrize("architecture", ["no_such_network", "vgg11", "efficientnet_b0"])
def test_an_architecture_that_cannot_be_used_is_refused(
    tmp_path: Path, write_tiny_model: WriteModel, architecture: str
) -> None:
    folder = write_tiny_model(tmp_path)
    edit(folder, architecture=architecture)
    with pytest.raises(ModelError, match=architecture):
        load(folder)


@pytest.mark.parametrize(
    ("sections", "engine"),
    [
        ({}, "country_classifier"),
        ({"architecture": "geoclip"}, "geoclip"),
        ({"position": POSITION, "architecture": "resnetgps_v1"}, "resnetgps"),
        ({"ensemble": ENSEMBLE, "preprocessing": None, "weights_sha256": None}, "ensemble"),
        ({"engine": "new_engine"}, "new_engine"),
    ],
)
def test_a_card_without_an_engine_gets_it_from_its_sections(
    tmp_path: Path, write_tiny_model: WriteModel, sections: dict[str, object], engine: str
) -> None:
    folder = write_tiny_model(tmp_path)
    card = json.loads((folder / CARD).read_text())
    del card["engine"]
    (folder / CARD).write_text(json.dumps(card | sections))
    assert read_card(folder).engine == engine
