import gc
import logging

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from triovision.ui import memory_budget as module
from triovision.ui.memory_budget import MemoryBudget, memory_budget


class Owner:
    pass


@pytest.fixture
def fresh():
    memory_budget.cache_clear()
    yield
    memory_budget.cache_clear()


def test_what_an_object_holds_counts_until_it_is_gone():
    budget, owner = MemoryBudget(100), Owner()
    budget.hold(owner, 60)
    assert not budget.has_room(1)
    budget.hold(owner, 30)
    assert budget.has_room(20)
    assert not budget.has_room(21)
    del owner
    gc.collect()
    assert budget.used_bytes == 0


def test_an_upload_counts_twice_while_it_arrives_and_is_refused_where_there_is_no_room():
    budget = MemoryBudget(100)
    with budget.arriving(20, "a") as first, budget.arriving(6, "a") as second, budget.arriving(5, "a") as third:
        assert (first, second, third) == (True, False, True)
        assert budget.used_bytes == 50
    assert budget.used_bytes == 0


def test_a_session_may_take_half_of_what_the_others_leave():
    budget = MemoryBudget(100)
    with budget.arriving(25, "a") as all_of_its_share, budget.arriving(1, "a") as more:
        assert (all_of_its_share, more) == (True, False)
        with budget.arriving(13, "b") as too_much, budget.arriving(12, "b") as half_of_the_rest:
            assert (too_much, half_of_the_rest) == (False, True)
            with budget.arriving(6, "c") as of_the_third:
                assert of_the_third
    with budget.arriving(25, "b") as afterwards:
        assert afterwards


def test_what_a_session_holds_counts_for_it_whoever_sets_it_anew(monkeypatch):
    budget, owner = MemoryBudget(100), Owner()
    monkeypatch.setattr(module, "_session_of_script", lambda: "a")
    budget.hold(owner, 10)
    monkeypatch.setattr(module, "_session_of_script", lambda: "b")
    budget.hold(owner, 40)
    assert budget.has_room(30)  # half of 60
    assert not budget.has_room(31)
    monkeypatch.setattr(module, "_session_of_script", lambda: "a")
    assert budget.has_room(10)
    assert not budget.has_room(11)


def test_a_fault_while_an_upload_arrives_gives_its_bytes_back():
    budget = MemoryBudget(100)
    with pytest.raises(ConnectionError), budget.arriving(20, "a"):
        raise ConnectionError
    assert budget.used_bytes == 0


def test_uploads_that_streamlit_keeps_count(monkeypatch):
    manager = MemoryUploadedFileManager("/upload")
    monkeypatch.setattr(module, "uploaded_files", lambda: manager)
    manager.add_file("session", UploadedFileRec("1", "a.jpg", "image/jpeg", bytes(20)))
    budget = MemoryBudget(100)
    assert budget.used_bytes == 40
    with budget.arriving(6, "session") as own, budget.arriving(15, "other") as of_another:
        assert (own, of_another) == (False, True)
    manager.remove_file("session", "1")
    assert MemoryBudget(100).used_bytes == 0


@pytest.mark.usefixtures("fresh")
def test_the_variable_sets_the_budget(monkeypatch):
    monkeypatch.setenv("TRIOVISION_MEMORY_MB", "700")
    assert memory_budget().limit_bytes == 700_000_000


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("nonsense", ["much", "-5", "1", "1.5", "٣٠٠"])
def test_a_nonsense_budget_is_named_and_a_quarter_of_the_machine_is_used(monkeypatch, caplog, nonsense):
    monkeypatch.setenv("TRIOVISION_MEMORY_MB", nonsense)
    monkeypatch.setattr(module, "_machine_bytes", lambda: 8_000_000_000)
    with caplog.at_level(logging.WARNING):
        assert memory_budget().limit_bytes == 2_000_000_000
    assert "TRIOVISION_MEMORY_MB" in caplog.text


@pytest.mark.usefixtures("fresh")
def test_a_container_counts_less_than_its_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("TRIOVISION_MEMORY_MB", raising=False)
    (tmp_path / "memory.max").write_text("1200000000\n")
    monkeypatch.setattr(module, "_CGROUP_LIMITS", (str(tmp_path / "memory.max"), str(tmp_path / "missing")))
    assert memory_budget().limit_bytes == 300_000_000
