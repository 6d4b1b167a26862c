"""Warm latency from the bytes of a 12-megapixel JPEG to a prediction, as a ratio to the bare limit.

The bare limit, measured in the same run, is Pillow's decode at the same scale plus one forward pass of the same network
on a ready batch.
"""

from __future__ import annotations

import io
import platform

import torch
from PIL import Image

from benchmarks.images import jpeg
from benchmarks.timing import in_turn
from triovision.explain import explain_country
from triovision.inference import EMBEDDED_MODEL, CountryEngine, load_model
from triovision.inference.device import forward
from triovision.photo import read_photo
from triovision.viz.overlays import overlay

WIDTH_PX, HEIGHT_PX = 4000, 3000
ROUNDS = 30
LIMIT = 1.2


def main() -> None:
    """Print the medians and their ratios to the bare limit."""
    data = jpeg(WIDTH_PX, HEIGHT_PX)
    engine = load_model(EMBEDDED_MODEL, device="cpu")
    assert isinstance(engine, CountryEngine)
    photo = read_photo(data, "photo.jpg")
    height, width = photo.image_hwc.shape[:2]
    batch_nchw = engine.preprocess([photo])

    def bare() -> None:
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (width, height))
        image.load()
        forward(engine.network, batch_nchw, engine.precision)

    def predict() -> None:
        engine.predict([read_photo(data, "photo.jpg")])

    def explain() -> None:
        read = read_photo(data, "photo.jpg")
        (prediction,) = engine.predict([read])
        overlay(read, explain_country(engine, read, prediction.countries[0].country), 0.5)

    medians = in_turn({"bare limit": bare, "prediction": predict, "prediction + overlay": explain}, ROUNDS)
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {engine.card.id}")
    size_mb = len(data) / 1e6
    print(f"{WIDTH_PX} x {HEIGHT_PX} JPEG of {size_mb:.1f} MB, decoded at {width} x {height}; {engine.precision}")
    for name, median in medians.items():
        print(f"{name:22} {median:8.1f} ms   {median / medians['bare limit']:5.2f} x bare")
    ratio = medians["prediction"] / medians["bare limit"]
    print(f"prediction / bare limit = {ratio:.2f} (target: at most {LIMIT}) {'ok' if ratio <= LIMIT else 'MISSED'}")


if __name__ == "__main__":
    main()
