import time
from types import SimpleNamespace
from weakref import WeakSet

import pytest
import streamlit as st

from triovision.ui import idle
from triovision.ui import session as session_module
from triovision.ui.collection_state import Collection
from triovision.ui.session import Session


@pytest.fixture
def connected(monkeypatch):
    """Ids of the sessions whose browsers are there; `removed` holds those whose uploads were removed."""
    ids, removed, live = set(), [], WeakSet()  # other tests may have left sessions
    monkeypatch.setattr(session_module, "live_sessions", live)
    monkeypatch.setattr(idle, "live_sessions", live)
    monkeypatch.setattr(idle, "_is_connected", lambda session_id: session_id in ids)
    monkeypatch.setattr(idle, "uploaded_files", lambda: SimpleNamespace(remove_session_files=removed.append))
    monkeypatch.delenv("TRIOVISION_IDLE_MINUTES", raising=False)
    return SimpleNamespace(ids=ids, removed=removed)


def session_with_photo(session_id, used_at):
    session = Session(id=session_id, used_at=used_at)
    session.results["key"] = "a photo"
    session.explanations["key", "FR", ""] = "a map"
    return session


def test_a_session_without_use_loses_its_photos_and_knows_it(connected):
    now = time.monotonic()
    idle_one, used = session_with_photo("idle", now - 3700), session_with_photo("used", now - 3500)
    connected.ids |= {"idle", "used"}
    idle.sweep(now)
    assert (idle_one.results, len(idle_one.explanations), idle_one.emptied) == ({}, 0, True)
    assert (len(used.results), used.emptied) == (1, False)
    assert connected.removed == ["idle"]


@pytest.mark.parametrize(("minutes", "emptied"), [("0", False), ("1", True), ("90", False)])
def test_the_variable_sets_the_time(connected, monkeypatch, minutes, emptied):
    monkeypatch.setenv("TRIOVISION_IDLE_MINUTES", minutes)
    now = time.monotonic()
    session = session_with_photo("a", now - 3700)
    connected.ids.add("a")
    idle.sweep(now)
    assert session.emptied is emptied


def test_a_session_whose_browser_is_gone_is_emptied_when_streamlit_gives_it_up(connected):
    now, wait_s = time.monotonic(), st.get_option("server.disconnectedSessionTTL")
    session = session_with_photo("gone", now - 3000)
    idle.sweep(now)
    idle.sweep(now + wait_s)
    assert session.results
    idle.sweep(now + wait_s + 1)
    assert not session.results
    assert connected.removed == ["gone"]


def test_a_browser_that_comes_back_in_time_keeps_its_photos(connected):
    now, wait_s = time.monotonic(), st.get_option("server.disconnectedSessionTTL")
    session = session_with_photo("back", now)
    idle.sweep(now)
    connected.ids.add("back")
    idle.sweep(now + wait_s - 1)
    connected.ids.clear()
    idle.sweep(now + wait_s + 1)
    assert session.results


def test_a_collection_keeps_its_predictions_and_loses_its_files(connected):
    now = time.monotonic()
    session = Session(id="collector", used_at=now - 3700)
    collection = Collection(entries={"key": "an entry"})
    collection.keep_file("key", b"a file")
    session.pages["collection"] = collection
    connected.ids.add("collector")
    idle.sweep(now)
    assert (collection.entries, collection.files) == ({"key": "an entry"}, {})
    assert session.emptied


def test_a_session_without_photos_gets_no_message(connected):
    now = time.monotonic()
    session = Session(id="empty", used_at=now - 3700)
    connected.ids.add("empty")
    idle.sweep(now)
    assert not session.emptied
