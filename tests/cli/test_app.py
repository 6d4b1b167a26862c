"""Options that `triovision app` hands to Streamlit, and the addresses on which the page listens."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from streamlit.web.cli import main_run

from triovision.cli import main

ROOT = Path(__file__).parents[2]
READY = re.compile(r"URL: http://(\S+):\d+")


@pytest.fixture
def flags(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of Streamlit, which is not started."""
    given: list[str] = []
    monkeypatch.setattr(main_run, "main", lambda arguments, **_: given.extend(arguments[1:]))
    return given


def test_without_options_the_configuration_decides(flags: list[str]) -> None:
    assert CliRunner().invoke(main, ["app"]).exit_code == 0
    assert flags == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - nothing is started
def test_a_page_opened_to_others_looks_up_no_outside_address(flags: list[str], host: str) -> None:
    assert CliRunner().invoke(main, ["app", "--host", host, "--no-browser"]).exit_code == 0
    expected = {"--server.address": host, "--server.headless": "True", "--browser.serverAddress": socket.gethostname()}
    assert dict(flag.split("=", 1) for flag in flags) == expected


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
        finally:
            server.kill()  # Streamlit loses a SIGTERM that comes as it prints its address


def _listening(port: int) -> set[str]:
    """Local addresses with a listening socket on a port, as the kernel writes them in `/proc/net`."""
    tables = [path for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    if not tables:
        pytest.skip("needs Linux")
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
