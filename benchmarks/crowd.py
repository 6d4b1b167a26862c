"""Many sessions of the page at once, each answer compared with the library's own; then a crowd beside a single one.

Every session speaks Streamlit's protocol and drops photos of 12 megapixels of its own. An answer is the JSON that the
tab "Details" offers, and its time runs from the drop to the offer. Memory is the sum of the resident memory of the
server and its decoders, in which pages that they share count more than once.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from benchmarks.images import china
from benchmarks.page import server
from benchmarks.streamlit_client import Client
from triovision.inference import load_default
from triovision.photo import read_photo

WIDTH_PX, HEIGHT_PX = 4000, 3000
ONE, ALL = "This prediction (JSON)", "All predictions (JSON Lines)"
MOST_MB, MOST_RATIO, SPARE_S = 4000.0, 3.0, 1.0


@dataclass(slots=True)
class Visit:
    """What a session got.

    Attributes:
        seconds: From the drop to the last answer.
        faults: What was wrong, in words.
    """

    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def photo(number: int) -> bytes:
    """Return a JPEG of 12 megapixels: another part of a photo for each number, with grain."""
    random = np.random.default_rng(number)
    side = int(random.integers(120, 400))
    left, top = int(random.integers(0, 640 - side)), int(random.integers(0, 427 - side * 3 // 4))
    part = china().crop((left, top, left + side, top + side * 3 // 4)).resize((WIDTH_PX, HEIGHT_PX))
    grain = Image.fromarray(random.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8))
    file = io.BytesIO()
    Image.blend(part, grain, 0.05).save(file, "JPEG", quality=85)
    return file.getvalue()


def visit(
    url: str, files: dict[str, bytes], expected: dict[str, Any], others: set[str], start: threading.Barrier
) -> Visit:
    """Open the page, wait for the others, drop the files and compare the answers.

    Args:
        url: Address of the server.
        files: Photos by name.
        expected: Answers by name.
        others: Names of the photos of other sessions.
        start: Where all sessions wait before they drop.
    """
    seen = Visit()
    with Client(url, "tab=details") as client:
        client.open()
        start.wait()
        begun = time.perf_counter()
        client.upload(files)
        wanted = ALL if len(files) > 1 else ONE
        offer = next(e.download_button for e in client.elements() if e.download_button.label == wanted)
        seen.seconds = time.perf_counter() - begun
        answers = (
            [json.loads(line) for line in client.download(offer.url).splitlines()]
            if len(files) > 1
            else [json.loads(client.download(offer.url))]
        )
        received = bytes(client.received)
    names = [answer["photo"] for answer in answers]
    if sorted(names) != sorted(files):
        seen.faults.append(f"answers for {names} instead of {sorted(files)}")
    for answer in answers:
        if comparable(answer) != expected.get(answer["photo"]):
            seen.faults.append(f"{answer['photo']}: not the library's answer")
    seen.faults += [f"the name {name} of another session" for name in others if name.encode() in received]
    return seen


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without its time."""
    return {name: value for name, value in answer.items() if name != "elapsed_ms"}


class Memory:
    """Peak of the resident memory of a process and its descendants, sampled; Linux only.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._end = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mb = 0.0
        self._thread.start()

    def stop(self) -> float:
        """Return the peak in megabytes."""
        self._end.set()
        self._thread.join()
        return self.peak_mb

    def _watch(self) -> None:
        while not self._end.wait(0.2):
            self.peak_mb = max(self.peak_mb, tree_mb(self._pid))


def tree_mb(pid: int) -> float:
    """Return the resident memory of a process and its descendants, in megabytes."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        tasks = [task.read_text(encoding="ascii").split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
        children = [int(child) for of_task in tasks for child in of_task]
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(map(tree_mb, children))
    return 0.0


def together(url: str, sets: list[dict[str, bytes]], expected: dict[str, Any]) -> list[Visit]:
    """Let sessions with these photos drop them at the same moment."""
    names, start = {name for files in sets for name in files}, threading.Barrier(len(sets))
    with ThreadPoolExecutor(len(sets)) as threads:
        futures = [threads.submit(visit, url, files, expected, names - files.keys(), start) for files in sets]
        return [future.result() for future in futures]


@click.command()
@click.option("--sessions", default=64, show_default=True, help="Sessions with one photo each.")
@click.option("--many", default=30, show_default=True, help="Photos of the session beside the single one.")
@click.option("--rounds", default=8, show_default=True, help="Single answers that are timed, alone and beside.")
def main(sessions: int, many: int, rounds: int) -> None:
    """Print times, wrong answers and memory beside the targets; exit code 1 if any is missed."""
    count = max(sessions, many + 1)
    files = {f"visitor-{number:03}-{number * 7919 % 10007:05}.jpg": photo(number) for number in range(count)}
    model, _ = load_default()
    expected = {
        name: json.loads(
            json.dumps(comparable(model.predict([read_photo(data, name)], top_k=len(model.card.labels))[0].to_dict()))
        )
        for name, data in files.items()
    }
    sets = [{name: data} for name, data in files.items()]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {model.card.id}, photos of {WIDTH_PX} x {HEIGHT_PX}")
    with server() as running:
        together(running.url, sets[:1], expected)  # loads the model
        memory = Memory(running.pid)
        visits = together(running.url, sets[:sessions], expected)
        seconds = sorted(seen.seconds for seen in visits)
        print(
            f"{sessions} sessions: first answer after {seconds[0]:.1f} s, median {statistics.median(seconds):.1f} s, "
        )
        print(f"  last {seconds[-1]:.1f} s; peak memory {memory.stop():.0f} MB (target {MOST_MB:.0f})")
        faults = [fault for seen in visits for fault in seen.faults]
        print(f"  {len(faults)} wrong or foreign answers", flush=True)
        missed = memory.peak_mb > MOST_MB
        alone, beside = [], []
        for _ in range(rounds):
            alone += [seen.seconds for seen in together(running.url, sets[:1], expected)]
        for _ in range(rounds):
            pair = [dict(list(files.items())[1 : many + 1]), sets[0]]
            visits = together(running.url, pair, expected)
            beside.append(visits[1].seconds)
            faults += [fault for seen in visits for fault in seen.faults]
    most = MOST_RATIO * float(np.quantile(alone, 0.95)) + SPARE_S
    p95 = float(np.quantile(beside, 0.95))
    print(f"one photo: p95 {np.quantile(alone, 0.95):.2f} s alone, {p95:.2f} s beside a session with {many}", end="")
    print(f" (target {most:.2f})")
    print(f"{len(faults)} wrong or foreign answers")
    for fault in faults[:20]:
        print(f"  {fault}")
    raise SystemExit(bool(faults) or missed or p95 > most)


if __name__ == "__main__":
    main()
