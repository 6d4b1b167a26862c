"""Chromium without network access, and Streamlit servers for the pages under test."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
STARTUP_S = 60
WAIT_MS = 180_000  # on a busy machine, PyTorch alone takes a minute to load

expect.set_options(timeout=WAIT_MS)


def wait_until(page: Page, is_true: Callable[[], bool]) -> None:
    """Wait for what no locator can tell, such as the pixels of a canvas."""
    for _ in range(WAIT_MS // 100):
        if is_true():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not come true in time")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages whose requests to other machines fail; `page.blocked` and `page.problems` record what happened."""
    yield from _open_pages(browser)


@pytest.fixture(scope="module")
def open_shared_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`open_page` for pages that all tests of a module share."""
    yield from _open_pages(browser)


@pytest.fixture(scope="session")
def settle() -> Callable[[Page], None]:
    """Waits until the script of a page has run and its elements are drawn."""

    def settle_(page: Page) -> None:
        page.wait_for_timeout(300)  # a click reaches the server
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
        page.wait_for_timeout(500)  # Streamlit fades new elements in

    return settle_


@pytest.fixture(scope="session")
def download() -> Callable[[Page, Locator], bytes]:
    """Clicks a button and gives the file that the browser saves."""

    def download_(page: Page, button: Locator) -> bytes:
        with page.expect_download() as found:
            button.click()
        return Path(found.value.path()).read_bytes()

    return download_


def _open_pages(browser: Browser) -> Iterator[Callable[..., Page]]:
    contexts = []

    def open_(url: str, **options: object) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.blocked, page.problems = [], []

        def gate(route: Route) -> None:
            if route.request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
                route.continue_()
            else:
                page.blocked.append(route.request.url)
                route.abort("internetdisconnected")

        context.route("**/*", gate)
        page.on("pageerror", lambda error: page.problems.append(f"exception: {error}"))
        page.on("dialog", lambda dialog: (page.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda line: line.type == "error" and page.problems.append(f"{line.text} {line.location}"))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts a Streamlit server for a script and gives its address; one server a script and name.

    Keywords are variables of its environment.
    """
    servers: dict[tuple[Path, str], tuple[str, subprocess.Popen[bytes]]] = {}

    def serve_(script: Path, name: str = "shared", **environment: str) -> str:
        if (script, name) not in servers:
            servers[script, name] = _start(script, tmp_path_factory.mktemp("server") / "log.txt", environment)
        return servers[script, name][0]

    yield serve_
    for _, process in servers.values():
        process.terminate()
        process.wait(STARTUP_S)


def _start(script: Path, log: Path, variables: dict[str, str]) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "server.address": "127.0.0.1",
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(script), *(f"--{k}={v}" for k, v in options.items())]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + STARTUP_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if urlopen(f"{url}/_stcore/health").read() == b"ok":  # noqa: S310 (our own server)
                return url, process
        except URLError:
            time.sleep(0.2)
    process.kill()
    pytest.fail(f"the server of {script} did not start:\n{log.read_text(errors='replace')}")
