from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

import pytest
import torch

import triovision
from triovision.errors import ModelError
from triovision.inference import EMBEDDED_MODEL, CountryEngine, default_model, list_models, read_card, registry
from triovision.inference.card import CARD, ENGINE_SECTIONS
from triovision.inference.registry import ENGINES, file_faults, open_model


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
    with pytest.raises(ModelError, match=r"is not installed.*test_efficientnet\.noise"):
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


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_can_be_imported_by_its_name(name: str) -> None:
    engine = resolve_name(ENGINES[name])
    assert engine.sections <= set(ENGINE_SECTIONS)
    assert callable(engine.open)
    assert callable(engine.files)


def edit_card(folder: Path, **fields: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"engine": "oracle"}, r"needs the engine `oracle`, which this version does not have.*country_classifier"),
        ({"engine": "resnetgps"}, "optional sections: none; its engine `resnetgps` needs: position"),
    ],
)
def test_a_card_whose_engine_does_not_fit_is_refused_at_load_and_when_verified(
    tmp_path: Path, write_tiny_model: Callable[..., Path], fields: dict[str, object], message: str
) -> None:
    folder = write_tiny_model(tmp_path)
    edit_card(folder, **fields)
    with pytest.raises(ModelError, match=message) as caught:
        open_model(folder, torch.device("cpu"))
    assert [str(fault) for fault in file_faults(folder, read_card(folder))] == [str(caught.value)]


def test_an_engine_is_its_module_and_one_line_of_the_registry(
    tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Renamed(CountryEngine):
        """A new engine."""

    module = ModuleType("renamed_engine")
    module.Renamed = Renamed  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "renamed_engine", module)
    monkeypatch.setattr(registry, "ENGINES", ENGINES | {"renamed": "renamed_engine:Renamed"})  # type: ignore[operator]
    folder = write_tiny_model(tmp_path, engine="renamed")
    assert isinstance(open_model(folder, torch.device("cpu")), Renamed)
    assert list(file_faults(folder, read_card(folder))) == []


def test_a_model_that_comes_with_the_project_precedes_one_of_its_name_in_the_users_folder(
    tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for embedded, installed in (("a", "z"), ("y", "b")):  # whatever the alphabet says
        folders = tmp_path / embedded, tmp_path / installed
        monkeypatch.setattr(registry, "model_folders", lambda folders=folders: folders)
        own = write_tiny_model(folders[0], "test_efficientnet.same", seed=1)
        write_tiny_model(folders[1], "test_efficientnet.same", seed=2)
        other = write_tiny_model(folders[1], "test_efficientnet.other")
        assert registry.found_models() == {"test_efficientnet.other": other, "test_efficientnet.same": own}
        assert list(registry.found_models()) == ["test_efficientnet.other", "test_efficientnet.same"]


def test_a_card_with_another_id_than_its_folder_is_refused(
    tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    write_tiny_model(tmp_path, "test_efficientnet.real").rename(tmp_path / "test_efficientnet.copy")
    words = r"has the id test_efficientnet\.real and not that of its folder, test_efficientnet\.copy"
    with pytest.raises(ModelError, match=words):
        triovision.load_model("test_efficientnet.copy")
    with pytest.raises(ModelError, match=words):
        list_models()
    with pytest.raises(ModelError, match="is not installed"):
        triovision.load_model("test_efficientnet.real")
    assert open_model(tmp_path / "test_efficientnet.copy", torch.device("cpu")).card.id == "test_efficientnet.real"
