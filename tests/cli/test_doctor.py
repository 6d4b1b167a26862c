from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def default_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRIOVISION_MODEL", "test_efficientnet.noise")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def checks(result: Result) -> dict[str, dict[str, Any]]:
    return {check["check"]: check for check in map(json.loads, result.stdout.splitlines())}


def doctor(run: Run, *arguments: str) -> Result:
    return run("doctor", "--device", "cpu", "--format", "json", *arguments)


def test_a_whole_installation_needs_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "head", lambda *_, **__: pytest.fail("--offline asks a server"))
    result = doctor(run, "--offline")
    found = checks(result)
    assert result.exit_code == 0, result.stdout
    assert found["model test_efficientnet.noise"]["found"].endswith("the default")
    assert found["prediction"]["found"].startswith("test_efficientnet.noise answers the example photo in ")
    assert found["device"]["found"].startswith("cpu (")
    assert {check["state"] for check in found.values()} <= {"ok", "note"}


def test_damaged_weights_are_a_fault_with_a_remedy(run: Run, tmp_path: Path) -> None:
    (weights,) = (tmp_path / "models").glob("*/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    result = doctor(run, "--offline")
    found = checks(result)
    assert result.exit_code == 1
    for name in ("model test_efficientnet.noise", "prediction"):
        assert found[name]["state"] == "fault"
        assert "weights.safetensors" in found[name]["found"]
        assert found[name]["remedy"]


def test_a_cache_that_cannot_be_written_is_a_fault(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = checks(doctor(run, "--offline"))
    assert found["cache"]["state"] == "fault"
    assert "XDG_CACHE_HOME" in found["cache"]["remedy"]


def test_missing_packages_are_named_with_the_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triovision.extras.find_spec", lambda name: None if name in {"ray", "folium"} else object())
    result = doctor(run, "--offline")
    found = checks(result)
    assert result.exit_code == 1
    assert found["packages"]["found"] == "missing: folium"
    assert found["packages"]["remedy"].startswith("pip install")
    assert found["packages of ray"]["state"] == "note"
    assert "prediction" not in found


def test_a_server_that_is_out_of_reach_is_only_a_note(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def head(url: str, **_: object) -> requests.Response:
        if "arcgis" in url:
            raise requests.ConnectionError("no route")
        response = requests.Response()
        response.raw = io.BytesIO()
        return response

    monkeypatch.setattr(requests, "head", head)
    result = doctor(run)
    found = checks(result)
    assert result.exit_code == 0
    assert found["network: https://services.arcgisonline.com"]["state"] == "note"
    assert "country outlines" in found["network: https://services.arcgisonline.com"]["found"]
    assert found["network: https://huggingface.co"]["state"] == "ok"


def test_the_table_ends_with_what_is_to_be_mended(run: Run, tmp_path: Path) -> None:
    (card,) = (tmp_path / "models").glob("*/card.json")
    card.unlink()
    result = run("doctor", "--offline", "--device", "cpu")
    assert result.exit_code == 1
    assert "fault models: the default model test_efficientnet.noise is not installed" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("To be mended: ")
