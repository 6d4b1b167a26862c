"""Model cards of strangers: each is refused in words, or its model answers with finite numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from triovision.errors import ModelError
from triovision.inference import CountryEngine, list_models, load_model
from triovision.inference.card import CARD
from triovision.results import Photo

NOISE = "test_efficientnet.noise"
DELETED = object()
NAN, HUGE = float("nan"), 10**9
SIZES = [0, -1, HUGE, 1.5, "64", None, NAN]
POSITION = {
    "backbone": "resnet18",
    "city_features": ["log_population"],
    "city_mean": [0.0],
    "city_scale": [1.0],
    "outputs": "standardised_degrees",
    "components": 1,
    "position_mean": [0.0, 0.0],
    "position_scale": [1.0, 1.0],
    "scale_km": 100.0,
    "asked_countries": 3,
    "cities_per_country": 10,
}
#: Path of a field and its value.
CHANGES: list[tuple[str, Any]] = [
    *(("calibration.temperature", value) for value in (0, -1, NAN, math.inf, 1e-320, 1e300, "hot", None, [1], DELETED)),
    *(("calibration.radius_factor", value) for value in (0, -1, NAN, math.inf)),
    *(("calibration.abstention_threshold", value) for value in (-0.1, 1.1, NAN)),
    *(("calibration", value) for value in (None, {}, [], "none", DELETED)),
    *(("labels", value) for value in ([], ["FR"], ["FR", "FR"], ["FR", 3], "FR", [["FR"]], ["CN", "FR"], DELETED)),
    *(("preprocessing.input_size", value) for value in SIZES),
    *(("preprocessing.std", value) for value in ([0, 0, 0], [1e-300] * 3, [NAN] * 3, [1, 1], [-1, 1, 1])),
    *(("preprocessing.mean", value) for value in ([NAN] * 3, [math.inf] * 3, [1e308] * 3, "grey")),
    ("architecture", "resnet_of_nowhere"),
    ("architecture", "vit_base_patch16_224"),
    ("architecture", ""),
    ("architecture", 3),
    *(("architecture_args", {"img_size": value}) for value in SIZES),
    ("architecture_args", {"pretrained": True}),
    ("architecture_args", {"checkpoint_path": "/etc/passwd"}),
    ("architecture_args", {"norm_layer": "torch.nn.BatchNorm2d"}),
    ("architecture_args", {"drop_rate": [HUGE]}),
    ("architecture_args", [1, 2]),
    ("engine", "oracle"),
    ("engine", ["resnetgps"]),
    ("id", "../../etc.passwd"),
    ("id", "other.noise"),
    ("weights_sha256", "0" * 64),
    ("weights_sha256", DELETED),
    ("metrics", {"new_places": {"country_top1": NAN}}),
    ("provenance.photos", -5),
    ("position", POSITION),
    ("position", POSITION | {"components": HUGE, "outputs": "von_mises_fisher_mixture"}),
    ("position", POSITION | {"backbone": "vit_base_patch16_224"}),
    ("position", POSITION | {"city_scale": [0.0]}),
    ("ensemble", {"members": []}),
    ("landmarks", {"index_sha256": "0" * 64}),
]


def changed(card: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    *parents, name = field.split(".")
    section = card
    for parent in parents:
        section = section[parent]
    if value is DELETED:
        del section[name]
    else:
        section[name] = value
    return card


@pytest.fixture
def folder(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    return write_tiny_model(tmp_path)


@pytest.mark.parametrize(("field", "value"), CHANGES)
def test_a_strange_card_is_refused_in_words_or_answers(
    folder: Path, make_photos: Callable[[int], list[Photo]], field: str, value: object
) -> None:
    card = changed(json.loads((folder / CARD).read_text()), field, value)
    (folder / CARD).write_text(json.dumps(card))
    try:
        model = load_model(NOISE, "cpu")
        predictions = model.predict(make_photos(2), top_k=4)
    except ModelError as error:
        told = str(error)
    else:
        told = ""
        for prediction in predictions:
            assert sum(guess.probability for guess in prediction.countries) == pytest.approx(1)
            assert math.isfinite(prediction.radius_km)
    assert not told or len(told.split()) > 5


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff\xfe", b'{"id": ' * 5000, b"[" * 100_000, b" " * 5_000_000]
)
def test_a_file_that_is_no_card_is_refused_in_words(folder: Path, content: bytes) -> None:
    (folder / CARD).write_bytes(content)
    with pytest.raises(ModelError, match=r"card\.json: is (not a valid|too large for a) model card"):
        list_models()


def test_arguments_that_ask_for_more_than_the_weights_hold_take_no_memory(folder: Path) -> None:
    args = {"embed_dim": 4096, "depth": 64, "num_heads": 64}
    card = json.loads((folder / CARD).read_text()) | {"architecture": "vit_base_patch16_224", "architecture_args": args}
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="more than the weights hold"):
        CountryEngine(folder, torch.device("cpu"))
