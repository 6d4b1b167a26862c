"""Decoding of the largest permitted picture of each format: time and memory of a decoder, alone and four at once.

Pictures have as many pixels as `PhotoLimits` permits for their kind, at most 100 megapixels. Each is decoded by a
process that has decoded nothing before; the four that took most memory are then given to the pool of the page together.
Processor time is printed too, for other processes delay the answer and not that. Linux only.
"""

from __future__ import annotations

import io
import math
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
from triovision.photo import DecoderPool, PhotoLimits
from triovision.photo.cost import decoder_bytes_per_pixel

MOST_S, MOST_MB, MOST_TOGETHER_MB = 3.0, 800.0, 2500.0
#: Format, mode and options of each picture by name.
PICTURES: dict[str, tuple[str, str, dict[str, object]]] = {
    "JPEG": ("JPEG", "RGB", {}),
    "progressive JPEG": ("JPEG", "RGB", {"progressive": True}),
    "CMYK JPEG": ("JPEG", "CMYK", {"progressive": True, "subsampling": 0}),
    "WebP": ("WEBP", "RGB", {"method": 0}),
    "transparent WebP": ("WEBP", "RGBA", {"method": 0}),
    "AVIF": ("AVIF", "RGB", {"speed": 10}),
    "AVIF 4:4:4": ("AVIF", "RGB", {"speed": 10, "subsampling": "4:4:4"}),
    "transparent AVIF": ("AVIF", "RGBA", {"speed": 10, "subsampling": "4:4:4"}),
    "HEIC": ("HEIF", "RGB", {"quality": 30}),
    "HEIC 4:4:4": ("HEIF", "RGB", {"quality": 30, "chroma": 444}),
    "CMYK TIFF": ("TIFF", "CMYK", {"compression": "jpeg"}),
    "palette PNG": ("PNG", "P", {"compress_level": 1}),
    "transparent PNG": ("PNG", "RGBA", {"compress_level": 1}),
}


def encoded(name: str, width_px: int, height_px: int) -> bytes:
    """Return the picture of a name: smooth noise."""
    container, mode, options = PICTURES[name]
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    sampling = Image.Resampling.NEAREST if container == "PNG" else Image.Resampling.BICUBIC  # it has to fit into 30 MB
    picture = Image.fromarray(noise).resize((width_px, height_px), sampling)
    alpha = picture.getchannel(0) if mode == "RGBA" else None
    picture = picture.convert(mode, dither=Image.Dither.NONE)  # a palette without noise
    if alpha is not None:
        picture.putalpha(alpha)
    file = io.BytesIO()
    picture.save(file, container, **options)
    return file.getvalue()


def largest(name: str) -> tuple[int, int]:
    """Return width and height in pixels of the largest permitted picture of a name."""
    limits = PhotoLimits()
    with Image.open(io.BytesIO(encoded(name, 64, 64))) as small:
        pixels = min(limits.max_pixels, int(limits.max_decoder_bytes / decoder_bytes_per_pixel(small)))
    width_px = math.isqrt(pixels)
    return width_px, pixels // width_px


def decode(pool: DecoderPool, data: bytes, name: str) -> str:
    """Return the refusal of a picture, or nothing."""
    try:
        pool.read(data, name)
    except PhotoError as error:
        return str(error)
    return ""


def measure_one(data: bytes, name: str) -> tuple[float, float, float, str]:
    """Return seconds, processor seconds, peak memory of the process in MB, and the refusal if there is one."""
    with DecoderPool(1) as pool:
        (child,) = children_after(pool)
        start, before = time.perf_counter(), processor_seconds(child)
        fault = decode(pool, data, name)
        seconds, own = time.perf_counter() - start, processor_seconds(child) - before
        status = Path(f"/proc/{child}/status").read_text(encoding="ascii")
        return seconds, own, int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6, fault


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    peaks, missed = {}, False
    for name in chosen or PICTURES:
        size = largest(name)
        data = files[name] = encoded(name, *size)
        seconds, own, peaks[name], fault = measure_one(data, name)
        ok = seconds <= MOST_S and peaks[name] <= MOST_MB and not fault
        missed |= not ok
        print(f"{name:18} {math.prod(size) / 1e6:5.1f} megapixels  {len(data) / 1e6:5.1f} MB  ", end="")
        print(f"{seconds:5.2f} s (target {MOST_S:.0f}), processor {own:5.2f} s  ", end="")
        print(f"{peaks[name]:5.0f} MB (target {MOST_MB:.0f})  {'ok' if ok else 'MISSED'} {fault}", flush=True)
    heaviest = sorted(peaks, key=lambda name: peaks[name])[-4:]
    seconds, together_mb, faults = measure_together({name: files[name] for name in heaviest})
    print(
        f"{', '.join(heaviest)} at once: {seconds:.1f} s, {together_mb:.0f} MB (target {MOST_TOGETHER_MB:.0f})", *faults
    )
    raise SystemExit(missed or together_mb > MOST_TOGETHER_MB or bool(faults))


if __name__ == "__main__":
    main()
