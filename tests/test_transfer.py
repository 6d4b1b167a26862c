from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from triovision.transfer import CHUNK_BYTES, Transfer
from triovision.transfer_limits import DownloadError, TransferLimits

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


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/nobody", "ftp://127.0.0.1/file", "file:///etc/passwd", "nonsense"])
def test_what_cannot_be_reached_is_named(url: str) -> None:
    with pytest.raises(DownloadError, match=url.rpartition("/")[2]):
        Transfer().read(url, PLENTY)


@pytest.mark.usefixtures("loopback")
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


@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/x", "http://[::1]:{port}/x", "http://10.0.0.1/x"])
def test_a_redirect_to_an_address_that_is_not_allowed_is_refused(mirror: Any, target: str) -> None:
    limits = TransferLimits(allowed=lambda address: str(address) == "127.0.0.1")
    mirror.redirects["/moved"] = target.format(port=mirror.url.rpartition(":")[2])
    with pytest.raises(DownloadError, match=r"/moved: it leads into a private network\. Use a server with a public"):
        Transfer(limits=limits).read(f"{mirror.url}/moved", PLENTY)
    assert len(mirror.requests) == 1


def test_a_redirect_to_an_allowed_address_is_followed(mirror: Any) -> None:
    mirror.redirects["/moved"] = mirror.url + PATH
    assert Transfer().read(f"{mirror.url}/moved", PLENTY) == DATA


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost:9/x", "http://169.254.169.254/latest"])
def test_by_default_only_public_addresses_are_reached(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(DownloadError, match="it leads into a private network"):
        Transfer(limits=TransferLimits()).read(url, PLENTY)


def test_a_name_is_looked_up_once_for_a_connection(mirror: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"  # what a second answer would be
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    url = mirror.url.replace("127.0.0.1", "photos.example")
    real = socket.create_connection
    monkeypatch.setattr(
        socket,
        "create_connection",
        lambda at, timeout: (monkeypatch.undo(), real(at, timeout))[1] if at[0] == "127.0.0.1" else pytest.fail(at[0]),
    )
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    limits = TransferLimits(allowed=lambda address: address.is_loopback)
    assert Transfer(limits=limits).read(url + PATH, PLENTY) == DATA
    assert asked == ["photos.example"]


class Drip(BaseHTTPRequestHandler):
    """Sends a byte at a time, of the head or of the body."""

    def do_GET(self) -> None:
        head = b"HTTP/1.1 200 OK\r\n" + (b"X: " if self.path == "/head" else b"\r\n")
        self.wfile.write(head)
        with suppress(OSError):
            while True:
                self.wfile.write(b"x")
                time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def drip(start_server: Callable[..., Any]) -> str:
    return f"http://127.0.0.1:{start_server(Drip).server_port}"


@pytest.mark.usefixtures("four_attempts_without_waiting")
@pytest.mark.parametrize(
    ("path", "bounds", "message"),
    [
        ("/body", {"least_rate": 1e6, "window_s": 0.1}, "the server sends too slowly"),
        ("/body", {"least_rate": 1e6, "window_s": 1e6, "spare_s": 0.2}, "the server took too long"),
        ("/head", {"head_s": 0.2}, "the server sends too slowly|the connection failed"),
    ],
)
def test_a_server_that_drips_is_left(drip: str, path: str, bounds: dict[str, float], message: str) -> None:
    limits = TransferLimits(allowed=lambda _: True, **bounds)
    with pytest.raises(DownloadError, match=message):
        Transfer(limits=limits).read(drip + path, 10_000)
