"""Decoding of the largest permitted picture of each format: time and memory of a decoder, alone and four at once.

Pictures have 99.9 megapixels. Each is decoded by a process that has decoded nothing before; the four that took most
memory are then given to the pool of the page together. Linux only.
"""

from __future__ import annotations

import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np
import pillow_heif
from PIL import Image

from benchmarks.crowd import Memory, tree_mb
from triovision.errors import PhotoError
from triovision.photo import DecoderPool

SIZE_PX = (10_000, 9_990)
MOST_S, MOST_MB, MOST_TOGETHER_MB = 3.0, 800.0, 2500.0
#: Format, mode and options of each picture by name.
PICTURES: dict[str, tuple[str, str, dict[str, object]]] = {
    "JPEG": ("JPEG", "RGB", {}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True}),
    "CMYK JPEG": ("JPEG", "CMYK", {}),
    "WebP": ("WEBP", "RGB", {"method": 0}),
    "AVIF": ("AVIF", "RGB", {"speed": 10}),
    "HEIC": ("HEIF", "RGB", {"quality": 30}),
    "CMYK TIFF": ("TIFF", "CMYK", {"compression": "jpeg"}),
    "palette PNG": ("PNG", "P", {"compress_level": 1}),
}


def encoded(name: str) -> bytes:
    """Return the picture of a name: smooth noise."""
    container, mode, options = PICTURES[name]
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize(SIZE_PX)
    file = io.BytesIO()
    picture.convert(mode, dither=Image.Dither.NONE).save(file, container, **options)  # a palette without noise
    return file.getvalue()


def decode(pool: DecoderPool, data: bytes, name: str) -> str:
    """Return the refusal of a picture, or nothing."""
    try:
        pool.read(data, name)
    except PhotoError as error:
        return str(error)
    return ""


def measure_one(data: bytes, name: str) -> tuple[float, float, str]:
    """Return seconds, peak memory of the process in MB, and the refusal if there is one."""
    with DecoderPool(1) as pool:
        (child,) = children_after(pool)
        start = time.perf_counter()
        fault = decode(pool, data, name)
        seconds = time.perf_counter() - start
        status = Path(f"/proc/{child}/status").read_text(encoding="ascii")
        return seconds, int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6, fault


def children_after(pool: DecoderPool) -> set[int]:
    """Start a process of the pool with a small picture and return its id."""
    before = children()
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    pool.read(file.getvalue(), "small")
    return children() - before


def children() -> set[int]:
    """Return the ids of the children of this process."""
    return {int(child) for task in Path("/proc/self/task").glob("*/children") for child in task.read_text().split()}


def measure_together(files: dict[str, bytes]) -> tuple[float, float, list[str]]:
    """Return seconds until all are decoded, peak memory of the pool in MB, and refusals."""
    with DecoderPool() as pool, ThreadPoolExecutor(len(files)) as threads:
        own_mb = tree_mb(os.getpid())
        memory, start = Memory(os.getpid()), time.perf_counter()
        faults = list(threads.map(lambda item: decode(pool, item[1], item[0]), files.items()))
        seconds = time.perf_counter() - start
        return seconds, memory.stop() - own_mb, [fault for fault in faults if fault]


@click.command()
@click.option("--picture", "chosen", multiple=True, type=click.Choice(list(PICTURES)), help="Only these.")
def main(chosen: tuple[str, ...]) -> None:
    """Print seconds and megabytes beside the targets; exit code 1 if one is missed."""
    pillow_heif.register_heif_opener()
    files: dict[str, bytes] = {}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, pictures of {SIZE_PX[0]} x {SIZE_PX[1]}")
    peaks, missed = {}, False
    for name in chosen or PICTURES:
        data = files[name] = encoded(name)
        seconds, peaks[name], fault = measure_one(data, name)
        ok = seconds <= MOST_S and peaks[name] <= MOST_MB and not fault
        missed |= not ok
        print(f"{name:18} {len(data) / 1e6:5.1f} MB  {seconds:5.2f} s (target {MOST_S:.0f})  ", end="")
        print(f"{peaks[name]:5.0f} MB (target {MOST_MB:.0f})  {'ok' if ok else 'MISSED'} {fault}", flush=True)
    heaviest = sorted(peaks, key=lambda name: peaks[name])[-4:]
    seconds, together_mb, faults = measure_together({name: files[name] for name in heaviest})
    print(
        f"{', '.join(heaviest)} at once: {seconds:.1f} s, {together_mb:.0f} MB (target {MOST_TOGETHER_MB:.0f})", *faults
    )
    raise SystemExit(missed or together_mb > MOST_TOGETHER_MB or bool(faults))


if __name__ == "__main__":
    main()
