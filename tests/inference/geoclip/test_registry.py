"""Default model with and without an installed worldwide model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

import triovision
from triovision.errors import ModelError
from triovision.inference import EMBEDDED_MODEL, default_model, list_models, load_default
from triovision.inference.geoclip import release
from triovision.inference.geoclip.engine import GeoClipEngine
from triovision.inference.registry import WORLDWIDE_MODEL, found_models, install_folder


@pytest.fixture
def installed(write_worldwide: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The worldwide model in the user's cache, beside the embedded one of the repository."""
    monkeypatch.delenv("TRIOVISION_MODELS")
    return write_worldwide(tmp_path / "cache" / "triovision" / "models")


def test_once_installed_it_is_the_default(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert release.released_card().id == WORLDWIDE_MODEL
    assert installed.parent == install_folder()
    assert {EMBEDDED_MODEL, WORLDWIDE_MODEL} <= {card.id for card in list_models()}
    assert default_model() == WORLDWIDE_MODEL
    model, fault = load_default("cpu")
    assert isinstance(model, GeoClipEngine)
    assert fault is None
    monkeypatch.setenv("TRIOVISION_MODEL", EMBEDDED_MODEL)
    assert default_model() == EMBEDDED_MODEL
    assert triovision.load_model(device="cpu").card.id == EMBEDDED_MODEL
    assert isinstance(triovision.load_model(WORLDWIDE_MODEL, "cpu"), GeoClipEngine)


def test_a_half_installed_one_is_none(installed: Path) -> None:
    installed.rename(installed.parent / f".{installed.name}.part")
    assert WORLDWIDE_MODEL not in found_models()
    assert default_model() == EMBEDDED_MODEL


def test_when_it_is_broken_the_embedded_one_answers_with_a_word(
    installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (installed / "model.safetensors").write_bytes(b"")
    model, fault = load_default("cpu")
    assert model.card.id == EMBEDDED_MODEL
    assert fault is not None
    assert "models install geoclip" in fault.remedy
    with caplog.at_level(logging.WARNING):
        assert triovision.load_model(device="cpu").card.id == EMBEDDED_MODEL
    assert "model.safetensors" in caplog.text
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        triovision.load_model(WORLDWIDE_MODEL, "cpu")


@pytest.mark.usefixtures("installed")
def test_without_the_extra_the_embedded_one_answers_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> Path:
        raise ModelError("geoclip", "is not installed", release.EXTRA)

    monkeypatch.setattr(release, "missing_packages", lambda: ("geoclip",))
    monkeypatch.setattr(release, "package_folder", absent)
    assert default_model() == EMBEDDED_MODEL
    model, fault = load_default("cpu")
    assert model.card.id == EMBEDDED_MODEL
    assert fault is not None
    assert "pip install" in fault.remedy
