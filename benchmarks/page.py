"""The page in Chromium, beside its targets: start, answers, map, charts, bytes sent, and many readers at once.

Each round starts a fresh server. Times are read in the browser: an answer is painted when its headline is visible.
The share of inference is the prediction's own time, from the JSON that the tab "Details" offers. Other processes
disturb all of this: run it on an idle machine.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import click
from playwright.sync_api import Browser, Error, Page, Playwright, sync_playwright

from benchmarks.images import jpeg

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
MAP = "iframe[title='streamlit_folium.st_folium']"
WIDTH_PX, HEIGHT_PX = 4000, 3000
WAIT_MS = 180_000
#: Targets on two idle cores, in seconds and megabytes.
TARGETS = {"page": 4.0, "cold answer": 4.0, "warm answer": 0.7, "markers": 1.5, "chart": 1.0, "sent MB": 1.5}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: Its address.
        pid: Its process.
        started: `time.perf_counter()` when the process was started.
    """

    url: str
    pid: int
    started: float

    @property
    def memory_mb(self) -> float:
        """Resident memory in megabytes; Linux only."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def server() -> Iterator[Server]:
    """Start `triovision app` on a free port and stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "triovision", "app", "--host", "127.0.0.1", "--port", str(port), "--no-browser"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    url = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            try:
                with urlopen(f"{url}/_stcore/health"):  # noqa: S310 - our own server
                    break
            except URLError:
                time.sleep(0.05)
        else:
            raise SystemExit("the server ended before it answered")
        yield Server(url, process.pid, started)
    finally:
        process.terminate()
        process.wait(10)


class Visit:
    """One reader: a page of its own, and the bytes that its browser receives.

    No tiles are among them, because the map asks for none until its reader chooses a layer. Requests are not routed:
    Playwright would disable the cache of the browser.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
        self.page: Page = self.context.new_page()
        self.received_bytes = 0
        self._folder = TemporaryDirectory()
        self._data_urls: set[str] = set()  # requests that the browser answers itself
        network = self.context.new_cdp_session(self.page)
        network.send("Network.enable")
        network.on("Network.requestWillBeSent", self._note_request)
        network.on("Network.loadingFinished", self._count_response)
        network.on("Network.webSocketFrameReceived", self._count_frame)
        self.page.goto(url)
        self.page.get_by_test_id("stFileUploaderDropzone").wait_for(timeout=WAIT_MS)

    def _note_request(self, event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("data:"):
            self._data_urls.add(event["requestId"])

    def _count_response(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._data_urls:  # 0 bytes come from the cache
            self.received_bytes += event["encodedDataLength"]

    def _count_frame(self, event: dict[str, dict[str, str]]) -> None:
        data = event["response"]["payloadData"]
        # Binary frames arrive as base64. Before the browser expands them they may be fewer bytes on the wire.
        self.received_bytes += len(data) * 3 // 4

    def drop(self, *photos: bytes, name: str = "photo") -> float:
        """Give photos to the page; returns the seconds until the answer to the last one is painted."""
        files = [Path(self._folder.name) / f"{name}-{number}.jpg" for number in range(len(photos))]
        for path, photo in zip(files, photos, strict=True):  # the browser reads the file as from a person's disk
            path.write_bytes(photo)
        # The drop zone is emptied once all its photos are predicted, and a new photo is shown first.
        shown = self.page.get_by_alt_text(files[0].name, exact=True).locator("visible=true").first
        start = time.perf_counter()
        self.page.locator("input[type=file]").first.set_input_files(files)
        shown.wait_for(timeout=WAIT_MS)
        self.page.get_by_role("heading", level=2).first.wait_for(timeout=WAIT_MS)
        return time.perf_counter() - start

    def markers(self) -> float:
        """Seconds until the map shows its first marker."""
        start = time.perf_counter()
        self.page.frame_locator(MAP).locator(".leaflet-marker-icon").first.wait_for(timeout=WAIT_MS)
        return time.perf_counter() - start

    def chart(self) -> float:
        """Seconds from the click on the tab to the first bars."""
        start = time.perf_counter()
        self.page.get_by_role("tab", name="Probabilities").click()
        self.page.locator(".js-plotly-plot .barlayer .bars").first.wait_for(timeout=WAIT_MS)
        return time.perf_counter() - start

    def inference(self) -> float:
        """Seconds that the prediction says it took."""
        self.page.get_by_role("tab", name="Details").click()
        with self.page.expect_download(timeout=WAIT_MS) as download:
            self.page.get_by_role("button", name="This prediction (JSON)").click()
        elapsed_ms: float = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["elapsed_ms"]
        return elapsed_ms / 1000

    def close(self) -> None:
        """Close the page."""
        self.context.close()
        self._folder.cleanup()


def launch(playwright: Playwright) -> Browser:
    """Start Chromium."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=flags)


def one_reader(playwright: Playwright, photos: list[bytes]) -> dict[str, float]:
    """Measure a fresh server with one reader: a first photo as soon as the page is there, then warm ones."""
    with server() as running:
        browser = launch(playwright)
        visit = Visit(browser, running.url)
        figures = {"page": time.perf_counter() - running.started}
        figures["cold answer"] = visit.drop(photos[0], name="cold")
        figures["markers"] = visit.markers()  # of the first map: a later one replaces markers that are there already
        visit.chart()  # Plotly's scripts are fetched now
        visit.page.get_by_role("tab", name="Map").click()
        visit.page.wait_for_timeout(3000)
        before = visit.received_bytes
        warm = []
        for number, photo in enumerate(photos[1:]):
            warm.append(visit.drop(photo, name=f"warm{number}"))
        visit.page.wait_for_timeout(2000)
        figures["warm answer"] = statistics.median(warm)
        figures["sent MB"] = (visit.received_bytes - before) / len(warm) / 1e6
        figures["chart"] = visit.chart()
        figures["inference share"] = visit.inference() / figures["warm answer"]
        visit.close()
        browser.close()
    return figures


@dataclass(slots=True)
class Load:
    """Answers to many readers at once.

    Attributes:
        seconds: Time of each reader, from the drop of all photos to the painted answer.
        errors: Faults of readers without an answer.
        before_mb: Memory of the server before them.
        after_mb: Memory of the server when their pages are closed.
    """

    before_mb: float
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    after_mb: float = 0.0


def many_readers(photos: list[bytes], readers: int) -> Load:
    """Measure readers who drop all photos at the same time, each in a browser of its own thread."""

    def read(number: int) -> float | str:
        try:
            with sync_playwright() as playwright:
                browser = launch(playwright)
                seconds = Visit(browser, running.url).drop(*photos, name=f"reader{number}")
                browser.close()
                return seconds
        except Error as error:
            return str(error).splitlines()[0]

    with server() as running:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            Visit(browser, running.url).drop(photos[0])
            browser.close()
        load = Load(running.memory_mb)
        with ThreadPoolExecutor(readers) as pool:
            answers = list(pool.map(read, range(readers)))
        load.seconds = sorted(answer for answer in answers if isinstance(answer, float))
        load.errors = [answer for answer in answers if isinstance(answer, str)]
        time.sleep(10)  # the server drops closed sessions a little later
        load.after_mb = running.memory_mb
    return load


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Fresh servers with one reader.")
@click.option("--readers", default=20, show_default=True, help="Readers at once; 0 leaves this part out.")
@click.option("--photos", default=5, show_default=True, help="Photos of each reader.")
def main(rounds: int, readers: int, photos: int) -> None:
    """Print the medians beside their targets, and the percentiles of many readers."""
    files = [jpeg(WIDTH_PX, HEIGHT_PX, seed) for seed in range(photos)]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, photos of {WIDTH_PX} x {HEIGHT_PX}")
    with sync_playwright() as playwright:
        figures = [one_reader(playwright, files) for _ in range(rounds)]
    for name, target in TARGETS.items():
        value = statistics.median(of_round[name] for of_round in figures)
        print(f"{name:16} {value:6.2f}   target {target:4.1f}   {value / target:5.2f} x")
    print(f"inference share  {statistics.median(of_round['inference share'] for of_round in figures):6.2f}")
    if not readers:
        return
    load = many_readers(files, readers)
    print(f"{readers} readers of {photos} photos: {len(load.errors)} errors {set(load.errors) or ''}")
    if load.seconds:
        p50, p95 = (load.seconds[min(len(load.seconds) - 1, int(len(load.seconds) * q))] for q in (0.5, 0.95))
        print(f"p50 {p50:.1f} s, p95 {p95:.1f} s")
    print(
        f"memory {load.before_mb:.0f} MB before, {load.after_mb:.0f} MB after: {load.after_mb / load.before_mb:.2f} x"
    )


if __name__ == "__main__":
    main()
