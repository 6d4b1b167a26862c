"""Decoding in other processes beside decoding in this one: latency of one photo and photos a second.

The predictions of both ways come from the same model, in turn in the same run.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import click
import numpy as np
import torch

from benchmarks.images import jpeg
from benchmarks.timing import in_turn
from triovision.errors import PhotoError
from triovision.inference import EMBEDDED_MODEL, GeoModel, load_model
from triovision.photo import decoder_pool, read_photo
from triovision.results import Photo

ROUNDS, PHOTOS, PARTS, VARIANTS, BATCH = 30, 500, 10, 10, 32
WIDTH_PX, HEIGHT_PX = 4000, 3000
MOST_LATENCY, LEAST_THROUGHPUT = 1.15, 0.95


def measure_latency(model: GeoModel) -> None:
    """Print the time from bytes to prediction of a 12-megapixel JPEG."""
    data, pool = jpeg(WIDTH_PX, HEIGHT_PX), decoder_pool()
    calls: dict[str, Callable[[], object]] = {
        "in this process": lambda: model.predict([read_photo(data, "photo.jpg")]),
        "pool": lambda: model.predict([pool.read(data, "photo.jpg")]),
    }
    medians = in_turn(calls, ROUNDS)
    for name, median in medians.items():
        print(f"{name:16} {median:7.1f} ms from bytes to prediction")
    ratio = medians["pool"] / medians["in this process"]
    print(f"  ratio = {ratio:.2f} (target: at most {MOST_LATENCY}) {'ok' if ratio <= MOST_LATENCY else 'MISSED'}")


def measure_throughput(model: GeoModel) -> None:
    """Print the photos a second, decoded ahead by threads of this process or by the pool, and predicted in batches.

    The two ways take turns, a part of the photos each, so that whatever else the machine does slows both alike.
    """
    variants = [jpeg(WIDTH_PX, HEIGHT_PX, seed) for seed in range(VARIANTS)]
    files = [(variants[number % VARIANTS], "photo.jpg") for number in range(PHOTOS // PARTS)]
    ways: dict[str, Callable[[list[tuple[bytes, str]]], Iterator[Photo]]] = {
        "in this process": read_in_threads,
        "pool": read_in_pool,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for part in range(PARTS):
        for name in sorted(ways, reverse=bool(part % 2)):
            start = time.perf_counter()
            photos = ways[name](files)
            while batch := list(islice(photos, BATCH)):
                model.predict(batch)
            seconds[name].append(time.perf_counter() - start)
        done = {name: round(sum(times), 1) for name, times in seconds.items()}
        print(f"{(part + 1) * len(files)} photos, seconds: {done}", file=sys.stderr, flush=True)
    for name, times in seconds.items():
        print(f"{name:16} {PHOTOS / sum(times):7.1f} photos/s, {PHOTOS} photos in {PARTS} parts")
    ratios = np.array(seconds["in this process"]) / np.array(seconds["pool"])
    ratio = sum(seconds["in this process"]) / sum(seconds["pool"])
    verdict = "ok" if ratio >= LEAST_THROUGHPUT else "MISSED"
    print(f"  ratio = {ratio:.2f}, of a part {ratios.min():.2f} to {ratios.max():.2f} ", end="")
    print(f"(target: at least {LEAST_THROUGHPUT}) {verdict}")


def read_in_threads(files: list[tuple[bytes, str]]) -> Iterator[Photo]:
    """Decode files a batch ahead, in threads of this process."""
    with ThreadPoolExecutor() as threads:
        waiting: deque[Future[Photo]] = deque()
        for file in files:
            waiting.append(threads.submit(read_photo, *file))
            if len(waiting) > BATCH:
                yield waiting.popleft().result()
        yield from (future.result() for future in waiting)


def read_in_pool(files: list[tuple[bytes, str]]) -> Iterator[Photo]:
    """Decode files a batch ahead, in other processes."""
    for _, outcome in decoder_pool().read_many(files, lambda file: file, BATCH):
        if isinstance(outcome, PhotoError):
            raise outcome
        yield outcome


@click.command()
def main() -> None:
    """Compare the pool with decoding in this process."""
    model = load_model(EMBEDDED_MODEL, device="cpu")
    print(f"load {os.getloadavg()[0]:.1f}, {torch.get_num_threads()} threads, {model.card.id}, ", end="")
    print(f"JPEG of {WIDTH_PX} x {HEIGHT_PX}")
    measure_latency(model)
    measure_throughput(model)


if __name__ == "__main__":
    main()
