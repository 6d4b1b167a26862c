"""Photos per second of the organiser against plain loops in the same run, and its memory for growing collections.

`python -m benchmarks.organise` needs real JPEGs in the folder `photos` of TRIOVISION_DATA. Figures can be compared only
within one run, because other work on the machine slows all of them.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.progress import Progress, RunOptions
from triovision.collections.organiser.run import organise
from triovision.inference import CountryEngine, load_model
from triovision.inference.device import forward
from triovision.photo import read_photo

BATCH = 32
LIMIT = 0.85
RAY_LIMIT = 0.7
GROWTH_MB = 300  # the cache of the database, which fills up to 256 MB
_SOURCES = 300
#: Program that organises a folder and prints its own peak memory in kB (Linux).
_CHILD = """
import sys, re
from pathlib import Path
from triovision.cli import main
try:
    main(["organise", sys.argv[1], "--to", sys.argv[2], "--model", sys.argv[3], "--device", "cpu", "--format", "json"])
except SystemExit:
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def real_photos() -> list[Path]:
    """Return the JPEGs of TRIOVISION_DATA, from all countries in turn."""
    if not (data := os.environ.get("TRIOVISION_DATA")):
        raise SystemExit("Name the folder of the photos in TRIOVISION_DATA.")
    paths = sorted((Path(data) / "photos").rglob("*.jpg"), key=lambda path: path.name)
    if not paths:
        raise SystemExit(f"{data}/photos has no JPEGs.")
    return paths


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure_speed(model_id: str, paths: Sequence[Path], rounds: int) -> None:
    """Print the rates of decoding alone, of the network alone and of the organiser, and their ratios."""
    engine = load_model(model_id, device="cpu")
    assert isinstance(engine, CountryEngine)
    photo = read_photo(paths[0].read_bytes(), "photo.jpg")
    batch_nchw = engine.preprocess([photo] * BATCH)

    def decode() -> None:
        for path in paths:
            image = Image.open(io.BytesIO(path.read_bytes()))
            image.draft("RGB", (1000, 1000))
            image.load()

    def run_network() -> None:
        for done in range(0, len(paths), BATCH):
            forward(engine.network, batch_nchw[: len(paths) - done], engine.precision)

    def run_organiser() -> None:
        with TemporaryDirectory() as out:
            progress = Progress()
            with CollectionDatabase(Path(out)) as database:
                organise(database, engine, paths, RunOptions(batch_size=BATCH), progress)
            assert progress.answered + progress.repeated == len(paths), progress

    forward(engine.network, batch_nchw, engine.precision)  # warms up
    print(f"{len(paths)} real JPEGs, {engine.card.id}, {engine.precision}, {torch.get_num_threads()} threads")
    to_slower, to_sum = [], []
    for _ in range(rounds):
        decode_s, forward_s, organise_s = seconds(decode), seconds(run_network), seconds(run_organiser)
        rates = {"decode": decode_s, "forward": forward_s, "both in turn": decode_s + forward_s, "organise": organise_s}
        print("  " + ", ".join(f"{name} {len(paths) / value:.1f}" for name, value in rates.items()) + " photos/s")
        to_slower.append(max(decode_s, forward_s) / organise_s)
        to_sum.append((decode_s + forward_s) / organise_s)
    ratio = statistics.median(to_slower)
    print(f"  ratio to both loops in turn = {statistics.median(to_sum):.2f}")
    print(f"  ratio to the slower loop = {ratio:.2f} (target: at least {LIMIT}) {'ok' if ratio >= LIMIT else 'MISSED'}")


def measure_ray(model_id: str, paths: Sequence[Path], rounds: int) -> None:
    """Print the rates of both engines on this machine, and their ratio; Ray has as many processors as the machine."""
    import ray  # noqa: PLC0415 - an optional extra

    from triovision.collections.cluster.ray_run import RayOptions, RayProgress, organise_on_ray  # noqa: PLC0415

    model = load_model(model_id, device="cpu")
    cores = os.cpu_count() or 1
    options = RayOptions(batch_size=BATCH, min_workers=cores, max_workers=cores)

    def run_local() -> None:
        with TemporaryDirectory() as out, CollectionDatabase(Path(out)) as database:
            organise(database, model, paths, RunOptions(batch_size=BATCH, thumbnails=False), Progress())

    def run_ray() -> None:
        with TemporaryDirectory() as out:
            progress = RayProgress()
            organise_on_ray(list(map(str, paths)), out, model_id, options, progress)
            assert progress.answered == len(paths), progress

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=cores + 1, include_dashboard=False, log_to_driver=False)  # one more for reading
    print(f"{len(paths)} real JPEGs, {model_id}, {cores} workers on {cores} cores; the start of the workers counts")
    ratios = []
    for _ in range(rounds):
        local_s, ray_s = seconds(run_local), seconds(run_ray)
        print(f"  local engine {len(paths) / local_s:.1f}, Ray {len(paths) / ray_s:.1f} photos/s")
        ratios.append(local_s / ray_s)
    ratio = statistics.median(ratios)
    print(f"  ratio = {ratio:.2f} (target: at least {RAY_LIMIT}) {'ok' if ratio >= RAY_LIMIT else 'MISSED'}")


def peak_mb(model_id: str, folder: Path) -> float:
    """Return the peak memory of a process that organises a folder, without its decoders, whose memory is bounded."""
    with TemporaryDirectory() as out:
        command = [sys.executable, "-c", _CHILD, str(folder), out, model_id]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    *summary, peak = done.stdout.splitlines()
    print("  " + "\n  ".join(summary))
    return int(peak) * 1024 / 1e6


def measure_memory(model_id: str, paths: Sequence[Path], sizes: Sequence[int], *, distinct: bool) -> None:
    """Print the peak memory for folders of several sizes.

    Args:
        model_id: The model.
        paths: Real photos.
        sizes: Numbers of photos.
        distinct: Whether each photo has bytes of its own (a JPEG and a number after its end), so that each is answered;
            otherwise they are links to the real ones, which are answered once.
    """
    peaks = []
    for size in sizes:
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for number, path in enumerate(islice(cycle(paths[:_SOURCES]), size)):
                target = folder / f"{number // 1000:04}" / f"{number:07}.jpg"
                target.parent.mkdir(exist_ok=True)
                if distinct:
                    target.write_bytes(path.read_bytes() + number.to_bytes(8, "big"))
                else:
                    target.symlink_to(path)
            peaks.append(peak_mb(model_id, folder))
        kind = "photos of different content" if distinct else f"links to {_SOURCES} photos"
        print(f"  {size} {kind}: peak {peaks[-1]:.0f} MB")
    growth = peaks[-1] - peaks[0]
    verdict = "ok" if growth < GROWTH_MB else "MISSED"
    print(f"  growth = {growth:.0f} MB (target: below {GROWTH_MB}) {verdict}")


def main() -> None:
    """Measure what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="efficientnet_lites.places14k")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--links", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--distinct", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--only", choices=["speed", "ray", "links", "distinct"])
    options = parser.parse_args()
    paths = real_photos()
    if options.only in (None, "speed"):
        measure_speed(options.model, paths[: options.photos], options.rounds)
    if options.only in (None, "ray"):
        measure_ray(options.model, paths[: options.photos], options.rounds)
    if options.only in (None, "links"):
        measure_memory(options.model, paths, options.links, distinct=False)
    if options.only in (None, "distinct"):
        measure_memory(options.model, paths, options.distinct, distinct=True)


if __name__ == "__main__":
    main()
