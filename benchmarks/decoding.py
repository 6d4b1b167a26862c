"""Decoding in other processes beside decoding in this one: latency of one photo, photos a second, peak memory.

The predictions of both ways come from the same model, in turn in the same run. Peak memory is that of a process which
decodes one picture of the greatest permitted size, beyond what it takes before.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import pillow_heif
import torch
from PIL import Image

from benchmarks.images import jpeg
from benchmarks.timing import in_turn
from triovision.errors import PhotoError
from triovision.inference import EMBEDDED_MODEL, GeoModel, load_model
from triovision.photo import decoder_pool, read_photo
from triovision.results import Photo

ROUNDS, PHOTOS, VARIANTS, BATCH = 30, 300, 10, 32
WIDTH_PX, HEIGHT_PX = 4000, 3000
MOST_LATENCY, LEAST_THROUGHPUT = 1.15, 0.95
#: Greatest permitted picture: by its pixels, or for BMP by its bytes.
LARGEST_PX, LARGEST_BMP_PX = (10_000, 9_990), (3_160, 3_160)
OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {},
    "progressive JPEG": {"progressive": True},
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 0},
    "AVIF": {"speed": 10},
    "HEIF": {"quality": 30},
    "TIFF": {"compression": "jpeg"},
    "GIF": {},
    "BMP": {},
}
MEASURE = """
import sys
from pathlib import Path
from triovision.photo import read_photo

def mb(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith(name))

data = Path(sys.argv[1]).read_bytes()
before = mb("VmRSS")
read_photo(data, "photo")
print(mb("VmHWM") - before)
"""


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
    """Print the photos a second, decoded ahead by threads of this process or by the pool, and predicted in batches."""
    variants = [jpeg(WIDTH_PX, HEIGHT_PX, seed) for seed in range(VARIANTS)]
    files = [(variants[number % VARIANTS], "photo.jpg") for number in range(PHOTOS)]
    best: dict[str, float] = {}
    for _ in range(3):
        for name, read in (("in this process", read_in_threads), ("pool", read_in_pool)):
            start = time.perf_counter()
            photos = read(files)
            while batch := list(islice(photos, BATCH)):
                model.predict(batch)
            best[name] = max(best.get(name, 0.0), PHOTOS / (time.perf_counter() - start))
    for name, rate in best.items():
        print(f"{name:16} {rate:7.1f} photos/s, best of 3")
    ratio = best["pool"] / best["in this process"]
    verdict = "ok" if ratio >= LEAST_THROUGHPUT else "MISSED"
    print(f"  ratio = {ratio:.2f} (target: at least {LEAST_THROUGHPUT}) {verdict}")


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


def measure_memory() -> None:
    """Print the peak memory for the greatest permitted picture of each format."""
    pillow_heif.register_heif_opener()
    grain = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    picture = Image.fromarray(grain).resize(LARGEST_PX)
    with TemporaryDirectory() as scratch:
        for name, options in OPTIONS.items():
            image = picture.resize(LARGEST_BMP_PX) if name == "BMP" else picture
            file = io.BytesIO()
            image.save(file, name.split()[-1], **options)
            path = Path(scratch) / "photo"
            path.write_bytes(file.getvalue())
            done = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:  # the file is too large: a smaller one of this format is the greatest permitted
                print(f"  {name:16} {len(file.getvalue()) / 1e6:6.1f} MB: {done.stderr.splitlines()[-1]}")
            else:
                print(
                    f"  {name:16} {len(file.getvalue()) / 1e6:6.1f} MB file, +{float(done.stdout):.0f} MB at the peak"
                )


@click.command()
@click.option("--memory", is_flag=True, help="Also measure peak memory; making the pictures takes minutes.")
def main(memory: bool) -> None:
    """Compare the pool with decoding in this process."""
    model = load_model(EMBEDDED_MODEL, device="cpu")
    print(f"{torch.get_num_threads()} threads, {model.card.id}, JPEG of {WIDTH_PX} x {HEIGHT_PX}")
    measure_latency(model)
    measure_throughput(model)
    if memory:
        measure_memory()


if __name__ == "__main__":
    main()
