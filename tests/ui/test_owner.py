from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.context import ContextProxy

from triovision.errors import ModelError
from triovision.ui.messages import report
from triovision.ui.owner import is_owner, without_folders
from triovision.ui.translation import get_translator


@pytest.fixture
def server(monkeypatch):
    """Sets the address of the server, the owner's switch and the headers of the request."""

    def set_(address="localhost", switch=None, headers=()):
        monkeypatch.setattr(st, "get_option", {"server.address": address}.get)
        monkeypatch.setattr(ContextProxy, "headers", dict(headers))
        if switch is None:
            monkeypatch.delenv("TRIOVISION_ADMIN", raising=False)
        else:
            monkeypatch.setenv("TRIOVISION_ADMIN", switch)

    return set_


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        (None, False),
        ("192.168.1.7", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
    ],
)
def test_without_the_switch_the_owner_sits_at_the_machine(server, address, owner):
    server(address)
    assert is_owner() is owner


@pytest.mark.parametrize(
    ("switch", "owner"), [("1", True), ("on", True), ("0", False), ("off", False), ("what", False)]
)
@pytest.mark.parametrize("address", ["localhost", None])
def test_the_switch_decides(server, switch, owner, address):
    server(address, switch)
    assert is_owner() is owner


def test_visitors_through_a_proxy_are_not_owners(server):
    server("localhost", headers={"X-Forwarded-For": "203.0.113.9"})
    assert not is_owner()


def test_only_the_owner_sees_folders(server, monkeypatch, tmp_path):
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "my models"))
    path = str(tmp_path / "my models" / "a.b" / "card.json")
    fault = ModelError(path, f"differs from {path}", f"Look into {Path.home()}")
    server(switch="1")
    assert without_folders(path) == path
    server(switch="0")
    text = report(fault, get_translator("en")).replace("\\", "")
    assert "…/a.b/card.json" in text
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
