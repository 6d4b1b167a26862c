"""Options that `triovision app` hands to Streamlit, and the addresses on which the page listens."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner
from streamlit.web.cli import main_run

from triovision.cli import main
from triovision.ui import warm_start
from triovision.ui.collection_state import COLLECTION_VARIABLE

ROOT = Path(__file__).parents[2]
READY = re.compile(r"URL: http://(\S+):\d+")


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of Streamlit, which is not started."""
    given: list[str] = []
    monkeypatch.setattr(main_run, "main", lambda arguments, **_: given.extend(arguments[1:]))
    monkeypatch.setattr(warm_start, "start_thread", lambda: None)
    return given


def test_without_options_the_configuration_decides(flags: list[str]) -> None:
    assert CliRunner().invoke(main, ["app"]).exit_code == 0
    assert flags == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - nothing is started
def test_a_page_opened_to_others_looks_up_no_outside_address(flags: list[str], host: str) -> None:
    assert CliRunner().invoke(main, ["app", "--host", host, "--no-browser"]).exit_code == 0
    expected = {"--server.address": host, "--server.headless": "True", "--browser.serverAddress": socket.gethostname()}
    assert dict(flag.split("=", 1) for flag in flags) == expected | {"--server.allowedHosts": "*"}


def test_names_of_an_opened_page_may_be_given(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "triovision.example")
    assert CliRunner().invoke(main, ["app", "--host", "192.0.2.1"]).exit_code == 0
    assert flags == ["--server.address=192.0.2.1"]


def test_a_loopback_address_opens_nothing(flags: list[str]) -> None:
    assert CliRunner().invoke(main, ["app", "--host", "127.0.0.1"]).exit_code == 0
    assert flags == ["--server.address=127.0.0.1"]


def test_a_collection_is_handed_to_the_page(
    flags: list[str],
    tmp_path: Path,
    photo_folder: Path,
    write_tiny_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv(COLLECTION_VARIABLE, "")  # so that it is restored
    out = tmp_path / "out"
    missing = CliRunner().invoke(main, ["app", "--collection", str(out)])
    assert missing.exit_code == 2
    assert "the folder holds no collection" in missing.stderr
    arguments = ["organise", str(photo_folder), "--to", str(out), "--model", "test_efficientnet.noise"]
    assert CliRunner().invoke(main, arguments).exit_code == 1  # for the file that is no photo
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["app", "--collection", "out"])
    assert result.exit_code == 0
    assert "The collection of 6 photos" in result.stdout
    assert os.environ[COLLECTION_VARIABLE] == str(out)
    assert flags == []


def test_by_default_only_this_machine_can_reach_the_page() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            printed = next(found for line in server.stdout if (found := READY.search(line)))
            assert printed[1] == "localhost"
            addresses = _listening(port)
            assert addresses
            assert addresses <= {"0100007F", "00000000000000000000000001000000"}
            statuses = {
                host: _stream_status(port, host) for host in ("localhost", "127.0.0.1", "[::1]", "evil.example")
            }
            assert statuses == {"localhost": 101, "127.0.0.1": 101, "[::1]": 101, "evil.example": 403}
        finally:
            server.kill()  # Streamlit loses a SIGTERM that comes as it prints its address


def _stream_status(port: int, host: str) -> int:
    """Status of the answer to a page of `host`, whose name leads here, that opens the WebSocket of its own origin."""
    headers = {"Host": f"{host}:{port}", "Origin": f"http://{host}:{port}", "Connection": "Upgrade"}
    headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    with closing(HTTPConnection("localhost", port, timeout=60)) as connection:
        connection.request("GET", "/_stcore/stream", headers=headers)
        return connection.getresponse().status


def _listening(port: int) -> set[str]:
    """Local addresses with a listening socket on a port, as the kernel writes them in `/proc/net`."""
    tables = [path for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    if not tables:
        pytest.skip("needs Linux")
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
