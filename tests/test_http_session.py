"""Servers and proxies that the owner of this machine named, and the redirects of all others."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from triovision.transfer import Transfer
from triovision.transfer_limits import DownloadError, TransferLimits

DATA = bytes(range(256)) * 100
PATH = "/weights"
PRIVATE = "it leads into a private network"

#: In these tests 127.0.0.1 stands for the public Internet, 127.0.0.2 for the private network.
LIMITS = TransferLimits(allowed=lambda address: str(address) == "127.0.0.1")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class _Private(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    location = ""

    def do_GET(self) -> None:
        leave = self.path == "/leave"
        self.send_response(302 if leave else 200)
        self.send_header("Location", self.location)
        self.send_header("Content-Length", "0" if leave else str(len(DATA)))
        self.end_headers()
        if not leave:
            self.wfile.write(DATA)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def private(mirror: Any, start_server: Callable[..., Any]) -> str:
    """Server in the private network; its address `/leave` redirects to the public server's `/back`."""
    server = start_server(type("Private", (_Private,), {"location": f"{mirror.url}/back"}), "127.0.0.2")
    return f"http://127.0.0.2:{server.server_port}"


def test_a_server_that_the_owner_named_may_be_private(private: str, tmp_path: Path) -> None:
    transfer = Transfer(limits=TransferLimits())
    assert transfer.read(private + PATH, 10**6, own_server=True) == DATA
    transfer.save(private + PATH, tmp_path / "part", 10**6, own_server=True)
    assert (tmp_path / "part").read_bytes() == DATA
    with pytest.raises(DownloadError, match=PRIVATE):
        transfer.read(private + PATH, 10**6)


@pytest.mark.parametrize("target", ["http://127.0.0.3:{port}/x", "http://127.0.0.2:9/x", "http://10.0.0.1/x"])
def test_that_server_leads_to_no_other_private_one(mirror: Any, target: str) -> None:
    mirror.redirects["/moved"] = target.format(port=mirror.url.rpartition(":")[2])
    with pytest.raises(DownloadError, match=PRIVATE):
        Transfer(limits=TransferLimits()).read(f"{mirror.url}/moved", 10**6, own_server=True)


def test_that_server_may_redirect_to_itself_and_to_public_ones(mirror: Any, private: str) -> None:
    mirror.files["/back"] = mirror.files["/there"] = DATA
    mirror.redirects["/here"] = f"{mirror.url}/there"
    assert Transfer(limits=TransferLimits()).read(f"{mirror.url}/here", 10**6, own_server=True) == DATA
    assert Transfer(limits=LIMITS).read(f"{private}/leave", 10**6, own_server=True) == DATA


def test_no_redirect_of_another_server_leads_there(mirror: Any, private: str) -> None:
    mirror.redirects["/moved"] = mirror.redirects["/back"] = private + PATH
    transfer = Transfer(limits=LIMITS)
    assert transfer.read(private + PATH, 10**6, own_server=True) == DATA  # the connection is kept
    with pytest.raises(DownloadError, match=PRIVATE):
        transfer.read(f"{mirror.url}/moved", 10**6)
    with pytest.raises(DownloadError, match=PRIVATE):
        transfer.read(f"{mirror.url}/moved", 10**6, own_server=True)
    with pytest.raises(DownloadError, match=PRIVATE):  # there and back
        transfer.read(f"{private}/leave", 10**6, own_server=True)


@pytest.fixture
def proxy(mirror: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server as a proxy, on a private address; it is asked for whole URLs."""
    monkeypatch.setenv("http_proxy", mirror.url)
    return mirror


def test_the_proxy_of_the_environment_is_used(proxy: Any, tmp_path: Path) -> None:
    url = "http://photos.example/weights"
    proxy.files[url] = DATA
    proxy.cuts[url] = [1000]
    Transfer(limits=TransferLimits()).save(url, tmp_path / "part", 10**6)
    assert (tmp_path / "part").read_bytes() == DATA
    assert proxy.ranges(url) == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f000001", "10.0.0.1", "169.254.169.254", "[::1]", "[fe80::1]", "[::ffff:10.0.0.1]"),
        *("localhost", "LOCALHOST.", "intranet", "db.local", "metadata.google.internal", "router.lan"),
    ],
)
def test_what_shows_through_a_proxy_is_refused(proxy: Any, host: str) -> None:
    proxy.redirects["http://photos.example/moved"] = f"http://{host}/secret"
    for url in (f"http://{host}/secret", "http://photos.example/moved"):
        with pytest.raises(DownloadError, match=PRIVATE):
            Transfer(limits=TransferLimits()).read(url, 10**6)
    assert [path for path, _ in proxy.requests] == ["http://photos.example/moved"]


def test_a_server_that_the_owner_named_is_reached_through_the_proxy_too(proxy: Any) -> None:
    proxy.files["http://hub.lan/weights"] = DATA
    transfer = Transfer(limits=TransferLimits())
    assert transfer.read("http://hub.lan/weights", 10**6, own_server=True) == DATA
    proxy.redirects["http://hub.lan/moved"] = "http://other.lan/weights"
    with pytest.raises(DownloadError, match=PRIVATE):
        transfer.read("http://hub.lan/moved", 10**6, own_server=True)


def test_exceptions_from_the_proxy_are_connections_of_their_own(proxy: Any, private: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.2")
    transfer = Transfer(limits=TransferLimits())
    assert transfer.read(private + PATH, 10**6, own_server=True) == DATA
    with pytest.raises(DownloadError, match=PRIVATE):
        transfer.read(private + PATH, 10**6)
    assert not proxy.requests


class _Tunnel(BaseHTTPRequestHandler):
    asked: list[str]

    def do_CONNECT(self) -> None:
        self.asked.append(self.path)
        if self.path == "slow.example:443":
            with suppress(OSError):
                while self.wfile.write(b"H"):
                    time.sleep(0.02)
            return
        self.send_error(403, "Not from here")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def tunnel(monkeypatch: pytest.MonkeyPatch, start_server: Callable[..., Any]) -> list[str]:
    """Proxy for encrypted connections that allows none; the servers that it was asked for."""
    asked: list[str] = []
    server = start_server(type("Tunnel", (_Tunnel,), {"asked": asked}))
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.server_port}")
    return asked


@pytest.mark.usefixtures("four_attempts_without_waiting")
def test_a_proxy_that_refuses_is_named(tunnel: list[str]) -> None:
    with pytest.raises(DownloadError, match=r"the connection failed \(.*403 Not from here"):
        Transfer(limits=TransferLimits()).read("https://photos.example/x", 10**6)
    assert set(tunnel) == {"photos.example:443"}
    with pytest.raises(DownloadError, match=PRIVATE):
        Transfer(limits=TransferLimits()).read("https://127.0.0.1/x", 10**6)
    assert set(tunnel) == {"photos.example:443"}


@pytest.mark.usefixtures("four_attempts_without_waiting")
def test_a_proxy_that_drips_is_left(tunnel: list[str]) -> None:
    with pytest.raises(DownloadError, match=r"the server sends too slowly|the connection failed"):
        Transfer(limits=TransferLimits(head_s=0.2)).read("https://slow.example/x", 10**6)
    assert tunnel == ["slow.example:443"] * 4
