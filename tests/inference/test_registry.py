from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import triovision
from triovision.errors import ModelError
from triovision.inference import EMBEDDED_MODEL, default_model, list_models


def test_models_are_found_in_the_configured_folder(
    tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    write_tiny_model(tmp_path, "test_efficientnet.b")
    write_tiny_model(tmp_path, "test_efficientnet.a")
    assert [card.id for card in list_models()] == ["test_efficientnet.a", "test_efficientnet.b"]
    assert triovision.load_model("test_efficientnet.b").card.id == "test_efficientnet.b"
    monkeypatch.setenv("TRIOVISION_MODEL", "test_efficientnet.a")
    assert triovision.load_model().card.id == default_model() == "test_efficientnet.a"


def test_an_unknown_model_names_the_known_ones(
    tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    write_tiny_model(tmp_path)
    with pytest.raises(ModelError, match=r"no model on this machine.*test_efficientnet\.noise"):
        triovision.load_model("../../etc")


@pytest.mark.parametrize("device", ["quantum", "cuda:99", ""])
def test_an_impossible_device_is_named(device: str) -> None:
    with pytest.raises(ModelError, match="device"):
        triovision.load_model(device=device)


def test_the_embedded_model_is_whole() -> None:
    card = triovision.load_model(device="cpu").card
    assert card.id == EMBEDDED_MODEL
    assert {"FR", "IN", "US", "JP"} <= set(card.labels)
    assert all(figures["photos"] for figures in card.metrics.values())
