"""Memory of the server over many visits and many clearings, and its answers while one session uploads too much.

A real server. Visitors speak Streamlit's protocol, so that no browser takes the processor; only the one who uploads
too much is a page in Chromium. Photos of a cycle differ from those of all others. The growth is the slope of a straight
line through the server's resident memory after each cycle, the first ones left out. Closed sessions are kept for a
second here, instead of two minutes: else the memory of so many visits would be that of the sessions still kept.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from urllib.error import URLError
from urllib.request import urlopen

import click
import numpy as np
from playwright.sync_api import Page, expect, sync_playwright
from scipy.stats import linregress
from scipy.stats import t as student_t
from streamlit.proto.Element_pb2 import Element

from benchmarks.images import jpeg
from benchmarks.page import WAIT_MS, Visit, launch, server
from benchmarks.streamlit_client import Client

PHOTOS = 5
WARM_UP_CYCLES, BLOCKS, EVERY = 30, 10, 10
SESSION_TTL_S = 1
TARGETS = {"slope": 0.2, "health": 1.0}
FLOOD_BUDGET_MB = 1000
FLOOD_FILES, FLOOD_FILE_BYTES = 100, 30_000_000
#: Sends a file as the drop zone does, with the token against forged requests. Returns the status of each answer.
FLOOD = """async ([session, count, bytes]) => {
  const token = document.cookie.split('; ').find((one) => one.startsWith('_streamlit_xsrf='))?.split('=')[1];
  const file = new Blob([new Uint8Array(bytes)]);
  const send = async (number) => {
    const form = new FormData();
    form.append(`${number}.jpg`, file, `${number}.jpg`);
    const headers = token ? {'X-Xsrftoken': decodeURIComponent(token)} : {};
    const url = `/_stcore/upload_file/${session}/flood-${number}`;
    try { return (await fetch(url, {method: 'PUT', body: form, headers})).status; } catch { return 0; }
  };
  return await Promise.all([...Array(count).keys()].map(send));
}"""


def uploaded_bytes(url: str) -> int:
    """Bytes of uploads that Streamlit holds, as its metrics say."""
    with urlopen(f"{url}/_stcore/metrics") as answer:  # noqa: S310 - our own server
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if "UploadedFileManager" in line)


def slope_mb(memory_mb: list[float]) -> tuple[float, float]:
    """Growth of memory in megabytes a cycle, and half of its 95 % interval.

    Memory a few cycles apart is alike, which would make the interval of all cycles far too narrow. The line is
    therefore fitted to the means of ten blocks.
    """
    steady = np.array(memory_mb[min(WARM_UP_CYCLES, len(memory_mb) // 3) :])
    blocks = np.array_split(np.arange(len(steady)), min(BLOCKS, len(steady)))
    line = linregress([block.mean() for block in blocks], [steady[block].mean() for block in blocks])
    return float(line.slope), float(line.stderr * student_t.ppf(0.975, max(1, len(blocks) - 2)))


def photos_of(name: str) -> dict[str, bytes]:
    """Photos of 12 megapixels that no other cycle has: trailing bytes make each file another one."""
    return {f"{name}-{number}.jpg": photo + f"{name}-{number}".encode() for number, photo in enumerate(_PHOTOS)}


_PHOTOS = [jpeg(4000, 3000, seed) for seed in range(PHOTOS)]


def open_and_close(url: str) -> Callable[[int], None]:
    """Cycle of a visitor who comes, drops photos and closes the page."""

    def cycle(number: int) -> None:
        with Client(url) as client:
            client.open()
            drop(client, f"visit{number}")

    return cycle


def drop_and_clear(url: str) -> Callable[[int], None]:
    """Cycle of a visitor who stays, drops photos and clears them."""
    client = Client(url)
    client.open()

    def cycle(number: int) -> None:
        drop(client, f"stay{number}")
        client.press("Clear")
        if headlines(client.finish()):
            raise SystemExit("the answers are still there after Clear")

    return cycle


def drop(client: Client, name: str) -> None:
    """Drop the photos of a cycle and wait until the page with the answers is drawn."""
    client.upload(photos_of(name))
    if not headlines(client.finish()):
        raise SystemExit(f"{name}: the page shows no answer")
    client.received.clear()


def headlines(elements: list[Element]) -> int:
    """Number of answers among elements of the page."""
    return sum(element.WhichOneof("type") == "heading" and element.heading.tag == "h2" for element in elements)


def settle(page: Page) -> None:
    """Wait until the script of the page has run."""
    page.wait_for_timeout(300)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=WAIT_MS)


def growth(name: str, begin: Callable[[str], Callable[[int], None]], cycles: int) -> bool:
    """Print the growth over many cycles on a fresh server; returns whether it is within the target."""
    os.environ["STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL"] = str(SESSION_TTL_S)
    with server() as running:
        cycle = begin(running.url)
        memory_mb = []
        for number in range(cycles):
            cycle(number)
            memory_mb.append(running.memory_mb)
            if number % EVERY == EVERY - 1 and number >= EVERY:
                slope, spread = slope_mb(memory_mb)
                progress = f"{name}: {number + 1} of {cycles}, {memory_mb[-1]:.0f} MB, {slope:+.2f} ± {spread:.2f} MB"
                print(progress, file=sys.stderr, flush=True)
        deadline = time.monotonic() + 120
        while (left := uploaded_bytes(running.url)) and time.monotonic() < deadline:
            time.sleep(5)
    slope, spread = slope_mb(memory_mb)
    few = memory_mb[:: max(1, cycles // 20)]
    print(
        f"{name}, {cycles} times: {slope:+.2f} ± {spread:.2f} MB a cycle (target: less than {TARGETS['slope']})", end=""
    )
    print(f"; {left} bytes of uploads left; MB: {' '.join(f'{value:.0f}' for value in few)} {memory_mb[-1]:.0f}")
    return slope < TARGETS["slope"] and left == 0


class Health:
    """Latency of the health check, asked every 50 ms in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.seconds: list[float] = []
        self.faults = 0
        self._url, self._over = f"{url}/_stcore/health", threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._over.wait(0.05):
            start = time.perf_counter()
            try:
                with urlopen(self._url, timeout=30) as answer:  # noqa: S310 - our own server
                    self.faults += answer.status != 200
            except (URLError, TimeoutError):
                self.faults += 1
            self.seconds.append(time.perf_counter() - start)

    def __enter__(self) -> Health:
        """Begin to ask."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()


def flood() -> bool:
    """Print what becomes of 3 GB of uploads in one session, and of the health check meanwhile."""
    os.environ["TRIOVISION_MEMORY_MB"] = str(FLOOD_BUDGET_MB)
    with server() as running, sync_playwright() as playwright:
        browser = launch(playwright)
        visit = Visit(browser, running.url)
        visit.drop(_PHOTOS[0], name="before")
        settle(visit.page)
        sessions: list[str] = []
        visit.page.on("request", lambda one: "/upload_file/" in one.url and sessions.append(one.url.split("/")[-2]))
        visit.drop(_PHOTOS[1], name="session")
        before_mb = running.memory_mb
        with Health(running.url) as health:
            statuses = visit.page.evaluate(FLOOD, [sessions[0], FLOOD_FILES, FLOOD_FILE_BYTES])
            peak = running.memory_mb
        held = uploaded_bytes(running.url)
        browser.close()
    taken, refused = statuses.count(204), statuses.count(413)
    slowest = max(health.seconds)
    print(f"{FLOOD_FILES} uploads of 30 MB, budget {FLOOD_BUDGET_MB} MB: {taken} taken, {refused} refused, ", end="")
    print(
        f"{len(statuses) - taken - refused} others; {held / 1e6:.0f} MB held, memory +{peak - before_mb:.0f} MB; ",
        end="",
    )
    print(f"health: {len(health.seconds)} answers, {health.faults} faults, median ", end="")
    print(f"{statistics.median(health.seconds) * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms")
    within = held <= FLOOD_BUDGET_MB * 1_000_000 and taken + refused == FLOOD_FILES and refused > 0
    return within and health.faults == 0 and slowest < TARGETS["health"]


@click.command()
@click.option("--cycles", default=200, show_default=True, help="Cycles of each of the two experiments on growth.")
@click.option("--only", type=click.Choice(["visits", "clearings", "flood"]), help="One experiment.")
def main(cycles: int, only: str | None) -> None:
    """Print the figures beside their targets; exit code 1 if one is missed."""
    experiments: dict[str, Callable[[], bool]] = {
        "visits": lambda: growth("open, five photos, close", open_and_close, cycles),
        "clearings": lambda: growth("five photos, Clear", drop_and_clear, cycles),
        "flood": flood,
    }
    results = [run() for name, run in experiments.items() if only in (None, name)]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
