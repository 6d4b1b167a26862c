"""Calibrations that a user stored: in force, stale, damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from triovision.errors import ModelError
from triovision.inference import load_model, read_card
from triovision.inference.card import CARD, Calibration, Ensemble, Member, ModelCard
from triovision.inference.ensemble import EnsembleEngine
from triovision.inference.registry import open_model
from triovision.inference.stored_calibration import calibration_path, model_sha256, read_calibration, write_calibration

NAME, OTHER = "test_efficientnet.noise", "test_efficientnet.other"
MINE = Calibration(
    temperature=2.5,
    conformal_threshold=0.1,
    conformal_coverage=0.9,
    abstention_threshold=0.75,
    radius_factor=3.0,
    fitted_on="60 photos of mine",
)


@pytest.fixture
def models(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    write_tiny_model(tmp_path)
    return tmp_path


def write_pair(models: Path, card: ModelCard, other: ModelCard) -> ModelCard:
    """The card of an ensemble of two models, written to its folder."""
    members = tuple(
        Member(id=one.id, weights_sha256=one.network_weights_sha256, country_weight=0.5, place_weight=0.5)
        for one in (card, other)
    )
    of_pair: dict[str, object] = {
        "id": "ensemble.pair",
        "engine": "ensemble",
        "preprocessing": None,
        "weights_sha256": None,
        "ensemble": Ensemble(members=members),
    }
    pair = card.model_copy(update=of_pair)
    (models / pair.id).mkdir()
    (models / pair.id / CARD).write_text(pair.model_dump_json(), encoding="utf-8")
    return pair


def test_it_is_in_force_when_the_model_is_loaded(models: Path) -> None:
    card = read_card(models / NAME)
    assert read_calibration(models, card) is None
    assert write_calibration(models, card, MINE) == calibration_path(models, NAME)
    assert load_model(NAME, "cpu").card.calibration == MINE
    assert read_card(models / NAME) == card
    assert open_model(models / NAME, torch.device("cpu")).card.calibration == card.calibration


def test_members_of_an_ensemble_keep_the_calibration_it_was_fitted_with(
    models: Path, write_tiny_model: Callable[..., Path]
) -> None:
    card, other = read_card(models / NAME), read_card(write_tiny_model(models, OTHER, seed=1))
    pair = write_pair(models, card, other)
    write_calibration(models, card, MINE)
    ensemble = load_model(pair.id, "cpu")
    assert isinstance(ensemble, EnsembleEngine)
    assert ensemble.members[0].card.calibration == card.calibration
    write_calibration(models, pair, MINE)
    assert load_model(pair.id, "cpu").card.calibration == MINE


def test_one_of_other_weights_is_refused(models: Path, write_tiny_model: Callable[..., Path]) -> None:
    other = read_card(write_tiny_model(models / "elsewhere", NAME, seed=1))
    write_calibration(models, other, MINE)
    with pytest.raises(ModelError, match=rf"other weights than those of {NAME}.*calibrate {NAME} --reset"):
        load_model(NAME, "cpu")


def test_the_hash_of_an_ensemble_is_that_of_its_members(models: Path, write_tiny_model: Callable[..., Path]) -> None:
    card, other = read_card(models / NAME), read_card(write_tiny_model(models, OTHER, seed=1))
    pair = write_pair(models, card, other)
    assert pair.ensemble is not None
    turned = pair.model_copy(update={"ensemble": Ensemble(members=pair.ensemble.members[::-1])})
    assert len({model_sha256(card), model_sha256(pair), model_sha256(turned)}) == 3
    assert model_sha256(pair) == model_sha256(pair.model_copy(update={"summary": "Another", "calibration": MINE}))


@pytest.mark.parametrize("content", ["", "{}", '{"model": "x"', "[1]"])
def test_a_damaged_file_is_named_with_the_remedy(models: Path, content: str) -> None:
    path = calibration_path(models, NAME)
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ModelError, match=r"calibrations/.*is not a valid calibration.*--reset"):
        load_model(NAME, "cpu")


def test_a_folder_that_cannot_be_written_is_named(models: Path) -> None:
    calibration_path(models, NAME).parent.write_text("a file, not a folder")
    with pytest.raises(ModelError, match=r"cannot be written.*TRIOVISION_MODELS"):
        write_calibration(models, read_card(models / NAME), MINE)
