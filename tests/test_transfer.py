from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from triovision.transfer import CHUNK_BYTES, DownloadError, Transfer

DATA = bytes(range(256)) * 5000  # 1.28 MB, several chunks
PATH = "/train/images_000.tar"
PLENTY = 10**9


@pytest.fixture(autouse=True)
def served(mirror: Any) -> None:
    mirror.files[PATH] = DATA


def test_a_cut_connection_is_resumed_at_the_byte_where_it_was_cut(mirror: Any, tmp_path: Path) -> None:
    mirror.cuts[PATH] = [2 * CHUNK_BYTES, CHUNK_BYTES]
    Transfer().save(mirror.url + PATH, tmp_path / "part", PLENTY)
    assert (tmp_path / "part").read_bytes() == DATA
    assert mirror.ranges(PATH) == [None, f"bytes={2 * CHUNK_BYTES}-", f"bytes={3 * CHUNK_BYTES}-"]


def test_what_an_earlier_run_left_is_not_fetched_again(mirror: Any, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(DATA[:1000])
    transfer = Transfer()
    transfer.save(mirror.url + PATH, tmp_path / "part", PLENTY)
    assert (tmp_path / "part").read_bytes() == DATA
    assert transfer.received_bytes == len(DATA) - 1000
    transfer.save(mirror.url + PATH, tmp_path / "part", PLENTY)
    assert mirror.ranges(PATH) == ["bytes=1000-", f"bytes={len(DATA)}-"]
    assert (tmp_path / "part").read_bytes() == DATA


def test_a_server_that_ignores_ranges_sends_all_again(mirror: Any, tmp_path: Path) -> None:
    mirror.ignores_ranges = True
    mirror.cuts[PATH] = [CHUNK_BYTES]
    Transfer().save(mirror.url + PATH, tmp_path / "part", PLENTY)
    assert mirror.ranges(PATH) == [None, f"bytes={CHUNK_BYTES}-"]
    assert (tmp_path / "part").read_bytes() == DATA


def test_a_small_file_cut_short_is_fetched_whole(mirror: Any) -> None:
    mirror.cuts[PATH] = [CHUNK_BYTES, 10]
    assert Transfer().read(mirror.url + PATH, PLENTY) == DATA


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(mirror: Any) -> None:
    mirror.statuses[PATH] = [503, 429]
    assert Transfer().read(mirror.url + PATH, PLENTY) == DATA
    with pytest.raises(DownloadError, match="404"):
        Transfer().read(f"{mirror.url}/gone", PLENTY)
    assert len(mirror.ranges("/gone")) == 1


def test_patience_ends(mirror: Any) -> None:
    mirror.statuses[PATH] = [503] * 10
    with pytest.raises(DownloadError, match="503"):
        Transfer().read(mirror.url + PATH, PLENTY)
    assert len(mirror.requests) == 4


def test_the_server_says_how_long_to_wait(mirror: Any) -> None:
    waits: list[float] = []

    def note(details: RetryDetails) -> None:
        waits.append(details.wait_for)

    mirror.statuses[PATH] = [429]
    set_on_retry_hooks([note])
    try:
        with stamina.set_testing(False):
            Transfer().read(mirror.url + PATH, PLENTY)
    finally:
        set_on_retry_hooks(None)
    assert waits == [1.0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/nobody", "ftp://127.0.0.1/file", "file:///etc/passwd", "nonsense"])
def test_what_cannot_be_reached_is_named(url: str) -> None:
    with pytest.raises(DownloadError, match=url.rpartition("/")[2]):
        Transfer().read(url, PLENTY)


def test_a_refused_connection_is_said_shortly() -> None:
    with pytest.raises(DownloadError) as error:
        Transfer().read("http://127.0.0.1:9/nobody", PLENTY)
    assert error.value.reason == "the connection failed ([Errno 111] Connection refused)"


def test_the_budget_is_kept_to_the_byte_and_what_came_stays(mirror: Any, tmp_path: Path) -> None:
    budget = CHUNK_BYTES + 17
    transfer = Transfer(budget)
    with pytest.raises(DownloadError, match="budget"):
        transfer.save(mirror.url + PATH, tmp_path / "part", PLENTY)
    assert transfer.received_bytes == budget
    assert (tmp_path / "part").read_bytes() == DATA[:budget]


def test_a_budget_of_exactly_the_file_is_enough(mirror: Any) -> None:
    assert Transfer(len(DATA)).read(mirror.url + PATH, PLENTY) == DATA


def test_a_file_larger_than_allowed_is_refused(mirror: Any, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="MB allowed"):
        Transfer().read(mirror.url + PATH, CHUNK_BYTES)
    transfer = Transfer()
    with pytest.raises(DownloadError, match="MB allowed"):
        transfer.save(mirror.url + PATH, tmp_path / "part", CHUNK_BYTES)
    assert transfer.received_bytes <= 2 * CHUNK_BYTES


def test_a_stopped_transfer_fetches_no_more(mirror: Any) -> None:
    transfer = Transfer()
    transfer.stop()
    with pytest.raises(DownloadError, match="stopped"):
        transfer.read(mirror.url + PATH, PLENTY)
