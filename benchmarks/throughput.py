"""Photos per second over a folder of 500, as a ratio to a plain decode loop and a plain forward loop."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from benchmarks.images import jpeg
from triovision.inference import CountryEngine, load_model
from triovision.inference.batch import predict_files
from triovision.inference.device import forward
from triovision.photo import read_photo
from triovision.results import Prediction

PHOTOS, BATCH, VARIANTS = 500, 32, 10
SIZES_PX = ((4000, 3000), (1600, 1200))
LIMIT = 0.8


def per_second(call: Callable[[], object]) -> float:
    """Return the photos per second of a call that processes all photos."""
    start = time.perf_counter()
    call()
    return PHOTOS / (time.perf_counter() - start)


def measure(engine: CountryEngine, width_px: int, height_px: int, folder: Path) -> None:
    """Print the three rates for a folder of photos of one size, and the ratio to the slower plain loop."""
    variants = [jpeg(width_px, height_px, seed) for seed in range(VARIANTS)]
    paths = [folder / f"{i:03}.jpg" for i in range(PHOTOS)]
    for i, path in enumerate(paths):
        path.write_bytes(variants[i % VARIANTS])
    photo = read_photo(variants[0], "photo.jpg")
    size = photo.image_hwc.shape[1::-1]
    batch_nchw = engine.preprocess([photo] * BATCH)

    def decode() -> None:
        for path in paths:
            image = Image.open(io.BytesIO(path.read_bytes()))
            image.draft("RGB", size)
            image.load()

    def run_network() -> None:
        for done in range(0, PHOTOS, BATCH):
            forward(engine.network, batch_nchw[: PHOTOS - done], engine.precision)

    def predict() -> None:
        predicted = sum(
            isinstance(outcome, Prediction) for _, outcome in predict_files(engine, paths, batch_size=BATCH)
        )
        if predicted != PHOTOS:
            raise SystemExit(f"only {predicted} of {PHOTOS} photos have a prediction")

    run_network()  # warms up
    rates = {"decode": per_second(decode), "forward": per_second(run_network), "predictions": per_second(predict)}
    print(f"{PHOTOS} JPEG files of {width_px} x {height_px}, decoded at {size[0]} x {size[1]}, batches of {BATCH}")
    for name, rate in rates.items():
        print(f"  {name:12} {rate:7.1f} photos/s")
    ratio = rates["predictions"] / min(rates["decode"], rates["forward"])
    print(f"  ratio to the slower loop = {ratio:.2f} (target: at least {LIMIT}) {'ok' if ratio >= LIMIT else 'MISSED'}")


def main() -> None:
    """Measure a folder of phone photos and one of web photos."""
    engine = load_model("tf_efficientnet_lite0.places10k", device="cpu")
    assert isinstance(engine, CountryEngine)
    print(f"{torch.get_num_threads()} threads, {engine.card.id}, {engine.precision}")
    for width_px, height_px in SIZES_PX:
        with TemporaryDirectory() as scratch:
            measure(engine, width_px, height_px, Path(scratch))


if __name__ == "__main__":
    main()
