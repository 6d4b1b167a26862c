"""Screenshots of the pages for the documents, made with the bundled example photo in Chromium: `make screenshots`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

ASSETS = Path(__file__).resolve().parents[1] / "assets"
CHROMIUM = "/usr/bin/chromium"
MAP = "iframe[title='streamlit_folium.st_folium']"
SLOW_MS = 180_000
SETTLE_MS = 6_000  # animations end, charts are drawn


def main() -> None:
    """Write the pictures into `assets/`."""
    with server() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = visit(browser, address, "light", 1440)
        save(page, "screenshot")
        page.get_by_role("tab", name="Why").click()
        page.get_by_alt_text("Heat map for").first.wait_for(timeout=SLOW_MS)
        save(page, "why")
        page = visit(browser, address, "dark", 1400)
        page.get_by_role("link", name="Compare", exact=True).click()
        page.get_by_role("button", name="Run").click()
        page.get_by_role("button", name="Run").wait_for(state="detached", timeout=SLOW_MS)
        page.locator(MAP).wait_for(timeout=SLOW_MS)
        save(page, "compare")
        page = visit(browser, address, "light", 1900)
        page.get_by_role("link", name="Verify", exact=True).click()
        for label, value in (("Latitude (°)", "39.9988"), ("Longitude (°)", "116.2746")):
            field = page.get_by_label(label, exact=True)
            field.fill(value)
            field.press("Enter")
            page.wait_for_timeout(SETTLE_MS)
        save(page, "verify")
        browser.close()


@contextmanager
def server() -> Iterator[str]:
    """Address of a server of the page, which ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "triovision", "app", "--host=127.0.0.1", f"--port={port}", "--no-browser"]
    process = subprocess.Popen(command)  # noqa: S603 - our own command
    try:
        while True:
            try:
                urlopen(f"{address}/_stcore/health").close()  # noqa: S310 - our own server
                break
            except URLError:
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


def visit(browser: Browser, address: str, scheme: str, height_px: int) -> Page:
    """Open the page in a new session and drop the example photo."""
    context = browser.new_context(
        viewport={"width": 1280, "height": height_px}, color_scheme=scheme, locale="en-GB", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Try an example").click(timeout=SLOW_MS)
    page.frame_locator(MAP).locator(".leaflet-marker-icon").first.wait_for(timeout=SLOW_MS)
    return page


def save(page: Page, name: str) -> None:
    """Write what the window shows into `assets/<name>.png`."""
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=ASSETS / f"{name}.png")


if __name__ == "__main__":
    main()
