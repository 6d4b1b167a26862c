"""Options of `triovision serve`, and what keeps it from starting."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from triovision.cli import main
from triovision.serve import app, running
from triovision.serve.settings import ServeSettings

KEY = "k" * 16


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Settings, address, port and proxies of servers, which are not started."""
    made: list[Any] = []
    monkeypatch.delenv("TRIOVISION_API_KEYS", raising=False)
    monkeypatch.setattr(app, "create_app", lambda settings: settings)
    monkeypatch.setattr(running, "serve", lambda *arguments: made.extend(arguments))
    monkeypatch.setattr("triovision.serve.observation.log_json", lambda: None)
    return made


def test_without_options_it_listens_on_this_machine_with_the_documented_limits(started: list[Any]) -> None:
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 0, result.output
    assert started == [ServeSettings(), "127.0.0.1", 8600, ""]


def test_options_become_settings(started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOVISION_API_KEYS", f"page:{KEY}1, {KEY}2")
    options = ["--max-photo-mb", "3", "--max-megapixels", "4", "--max-request-mb", "5", "--max-pending-mb", "6"]
    options += ["--max-files", "7", "--max-waiting", "8", "--max-batch", "9", "--allow-urls", "--body-timeout", "10"]
    options += ["--answer-timeout", "11", "--host", "::1", "--port", "12", "--proxies", "10.0.0.1"]
    result = CliRunner().invoke(main, ["serve", "--model", "tf_efficientnet_lite0.places10k", *options])
    assert result.exit_code == 0, result.output
    settings, *where = started
    assert where == ["::1", 12, "10.0.0.1"]
    assert settings.model_id == "tf_efficientnet_lite0.places10k"
    assert (settings.photo.max_bytes, settings.photo.max_pixels) == (3_000_000, 4_000_000)
    assert (settings.max_request_bytes, settings.max_pending_bytes) == (5_000_000, 6_000_000)
    assert (settings.max_files, settings.max_waiting, settings.max_batch) == (7, 8, 9)
    assert (settings.body_s, settings.answer_s, settings.allow_urls) == (10, 11, True)
    assert settings.api_keys == {f"{KEY}1": "page", f"{KEY}2": "client 2"}
    assert KEY not in repr(settings)
    assert [settings.client_of(f"Bearer {KEY}{end}") for end in "123"] == ["page", "client 2", None]
    assert settings.client_of(f"Basic {KEY}1") is None


@pytest.mark.parametrize("keys", ["short", f"{KEY},{KEY}", f"page:{KEY},desk:{KEY}", "é" * 20])
def test_keys_that_are_no_good_keep_it_from_starting(started: list[Any], monkeypatch: Any, keys: str) -> None:
    monkeypatch.setenv("TRIOVISION_API_KEYS", keys)
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 2
    assert "openssl rand" in result.output
    assert keys not in result.output
    assert not started


def test_an_unknown_model_keeps_it_from_starting(started: list[Any]) -> None:
    result = CliRunner().invoke(main, ["serve", "--model", "no.such"])
    assert result.exit_code == 2
    assert "is not installed" in result.output
    assert not started
