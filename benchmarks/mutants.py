"""Decoding of many mutants of image files: crashes, foreign exceptions, time and memory.

Every mutant is decoded in a worker process, so that a crash ends a worker and not the campaign. Each ends as a photo or
as a `PhotoError`; anything else is printed with its number and fails the command. `--only` decodes one number again.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import click
import numpy as np

from benchmarks.mutation import random_mutant, structural_mutant
from triovision.errors import PhotoError
from triovision.photo import read_photo

KINDS: dict[str, Callable[[int], tuple[str, bytes]]] = {"random": random_mutant, "structural": structural_mutant}
#: Targets: 99th percentile of the processor time of one mutant in seconds, memory of a worker in MB. For random mutants
#: that is what stays, for structural ones the peak.
TARGETS = {"random": (0.05, 100.0), "structural": (2.0, 1500.0)}
CHUNK = 500


@dataclass(slots=True)
class Outcome:
    """What happened to a chunk of mutants, or to all of them.

    Attributes:
        outcomes: Number of photos and of refusals.
        seconds: Processor time of each mutant.
        faults: Crashes and foreign exceptions in words.
        growth_mb: Growth of a worker's memory since it began, between mutants; the largest of all workers.
        peak_mb: Peak memory of a worker beyond its memory before the chunk, the largest of all chunks.
        slowest: Processor time, number, seed and size of the slowest mutant.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    growth_mb: float = 0.0
    peak_mb: float = 0.0
    slowest: tuple[float, int, str, int] = (0.0, 0, "", 0)

    def add(self, other: Outcome) -> None:
        """Add another chunk."""
        self.outcomes += other.outcomes
        self.seconds += other.seconds
        self.faults += other.faults
        self.growth_mb = max(self.growth_mb, other.growth_mb)
        self.peak_mb = max(self.peak_mb, other.peak_mb)
        self.slowest = max(self.slowest, other.slowest)


def memory_mb(field: str) -> float:
    """Return a field of this process's status, such as `VmHWM`, the peak; Linux only.

    `getrusage` would give the peak of its parent too.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024 / 1e6


@cache
def start_mb() -> float:
    """Return the resident memory of this process when it was first asked for."""
    return memory_mb("VmRSS")


def decode_chunk(kind: str, first: int, count: int) -> Outcome:
    """Decode mutants in this process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff reports each fault on stderr
    KINDS[kind](0)  # makes the seeds
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is the present memory again
    start_mb()
    chunk, before = Outcome(), memory_mb("VmHWM")
    for number in range(first, first + count):
        name, data = KINDS[kind](number)
        start = time.process_time()
        try:
            read_photo(data, "mutant")
            chunk.outcomes["photos"] += 1
        except PhotoError:
            chunk.outcomes["refused"] += 1
        except BaseException as error:
            chunk.faults.append(f"{kind} {number} ({name}): {error!r}")
        seconds = time.process_time() - start
        chunk.seconds.append(seconds)
        chunk.slowest = max(chunk.slowest, (seconds, number, name, len(data)))
    chunk.growth_mb, chunk.peak_mb = memory_mb("VmRSS") - start_mb(), memory_mb("VmHWM") - before
    return chunk


def campaign(kind: str, count: int, workers: int) -> Outcome:
    """Decode mutants in worker processes; after a crash the next chunks get new ones."""
    total = Outcome()
    waiting = list(range(0, count, CHUNK))
    spawn = multiprocessing.get_context("spawn")
    while waiting:
        with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
            futures = {first: pool.submit(decode_chunk, kind, first, min(CHUNK, count - first)) for first in waiting}
            waiting = []
            for first, future in futures.items():
                try:
                    total.add(future.result())
                except BrokenProcessPool:
                    waiting.append(first)
        if waiting:  # the first of them was being decoded
            total.faults.append(f"{kind}: a worker crashed in {waiting[0]} to {waiting[0] + CHUNK * workers - 1}")
            waiting = waiting[workers:]
    return total


@click.command()
@click.option("--random", "random_count", default=100_000, show_default=True, help="Random mutants.")
@click.option("--structural", "structural_count", default=20_000, show_default=True, help="Structural mutants.")
@click.option("--workers", default=os.cpu_count() or 1, show_default=True, help="Worker processes.")
@click.option("--only", type=(click.Choice(list(KINDS)), int), help="Decode one mutant in this process: KIND NUMBER.")
def main(random_count: int, structural_count: int, workers: int, only: tuple[str, int] | None) -> None:
    """Print what became of the mutants, beside the targets; exit code 1 if any did not end as it should."""
    if only is not None:
        name, data = KINDS[only[0]](only[1])
        print(f"{name}, {len(data)} bytes: {read_photo(data, 'mutant').format}")
        return
    failed = False
    for kind, count in (("random", random_count), ("structural", structural_count)):
        if not count:
            continue
        total = campaign(kind, count, workers)
        most_seconds, most_mb = TARGETS[kind]
        p99 = float(np.quantile(total.seconds, 0.99))
        print(f"{kind}: {total.outcomes['photos']} photos, {total.outcomes['refused']} refused, ", end="")
        print(f"{len(total.faults)} faults; p99 {p99 * 1000:.1f} ms ({p99 / most_seconds:.2f} x the target), ", end="")
        memory = total.growth_mb if kind == "random" else total.peak_mb
        print(f"memory +{total.growth_mb:.0f} MB, peak +{total.peak_mb:.0f} MB ({memory / most_mb:.2f} x)")
        seconds, number, name, size = total.slowest
        print(f"  slowest: number {number}, {name}, {size} bytes, {seconds * 1000:.0f} ms")
        for fault in total.faults[:50]:
            print(f"  {fault}")
        failed |= bool(total.faults) or p99 > most_seconds or memory > most_mb
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
