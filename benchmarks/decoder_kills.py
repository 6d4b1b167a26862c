"""Decoders that are killed under a request: time to the worded error, photos of others beside it, zombies.

A decoder process is stopped in the middle of a photo by SIGSEGV and SIGKILL in turn, while another thread reads photos
through the same pool; every one of those is compared with the same photo read in this process. Linux only.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.images import jpeg
from benchmarks.largest_photos import children, encoded
from triovision.errors import PhotoError
from triovision.photo import DecoderPool, read_photo

MOST_S = 2.0


class Others:
    """A thread that reads a small photo through the pool again and again.

    Args:
        pool: The pool.
    """

    def __init__(self, pool: DecoderPool) -> None:
        self._data, self._pool, self._end = jpeg(1200, 900), pool, threading.Event()
        self._expected = read_photo(self._data, "other.jpg").image_hwc
        self.read = 0
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._end.is_set():
            try:
                photo = self._pool.read(self._data, "other.jpg")
            except PhotoError as error:
                self.faults.append(str(error))
                continue
            self.read += 1
            if not np.array_equal(photo.image_hwc, self._expected):
                self.faults.append("other pixels")


def busy_decoder(mine: set[int]) -> int:
    """Wait until a decoder holds more memory than small photos take, and return its id."""
    while True:
        for pid in children() - mine:
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            if pages * os.sysconf("SC_PAGE_SIZE") > 250_000_000:
                return pid
        time.sleep(0.001)


def zombies(mine: set[int]) -> int:
    """Return the number of dead children that nobody has waited for."""
    states = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] for pid in children() - mine]
    return states.count("Z")


@click.command()
@click.option("--kills", default=20, show_default=True, help="Decoders to kill.")
@click.option("--seed", default=0, show_default=True, help="Seed of the moments.")
def main(kills: int, seed: int) -> None:
    """Print the slowest error beside its target, and what became of the others; exit code 1 for any fault."""
    large, moments, seconds = encoded("WebP"), random.Random(seed), []  # noqa: S311 - moments, not secrets
    mine, faults = children(), []
    with DecoderPool(2) as pool:
        others = Others(pool)
        for number in range(kills):
            outcome: list[PhotoError | None] = []

            def read(outcome: list[PhotoError | None] = outcome) -> None:
                try:
                    pool.read(large, "large.webp")
                    outcome.append(None)
                except PhotoError as error:
                    outcome.append(error)

            reading = threading.Thread(target=read)
            reading.start()
            victim = busy_decoder(mine)
            time.sleep(moments.uniform(0, 0.2))
            os.kill(victim, signal.SIGSEGV if number % 2 else signal.SIGKILL)
            start = time.perf_counter()
            reading.join()
            seconds.append(time.perf_counter() - start)
            if outcome[0] is None or "crashed" not in str(outcome[0]):
                faults.append(f"kill {number}: {outcome[0]}")
        others.stop()
        left = zombies(mine)
    faults += others.faults
    print(f"{kills} decoders killed: error after {max(seconds):.3f} s at most (target {MOST_S:.0f}); ", end="")
    print(f"{others.read} photos of others right, {len(faults)} faults, {left} zombies")
    for fault in faults[:20]:
        print(f"  {fault}")
    raise SystemExit(bool(faults) or bool(left) or bool(children() - mine) or max(seconds) > MOST_S)


if __name__ == "__main__":
    main()
