"""Average drop of each explanation method on real photos, for two layers of the network.

Average drop (Grad-CAM++, Chattopadhay et al., 2018): relative loss of the country's probability when the network sees
only the highlighted part of the photo. Lower is better, but a map that highlights everything has a drop of zero; the
mean area is therefore printed beside it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from triovision.explain import explain_country
from triovision.inference import CountryEngine, load_model
from triovision.inference.batch import read_photo_file
from triovision.results import Photo
from triovision.train.data.manifest import read_manifest

#: Without Score-CAM, which needs a forward pass for each of 1,280 channels.
METHODS = ("LayerCAM", "Grad-CAM", "Grad-CAM++")
PHOTOS = 120


def held_out_photos(folder: Path) -> list[Photo]:
    """Return an even sample of the photos that the embedded model was not trained on."""
    manifest = read_manifest(folder / "manifest.csv", columns=["split_known_places"])
    held_out = manifest.where(manifest.table["split_known_places"] == "val")
    return [read_photo_file(path) for path in held_out.paths[:: max(1, len(held_out) // PHOTOS)]]


def measure(engine: CountryEngine, photos: Sequence[Photo], batch_nchw: Tensor, method: str) -> tuple[float, float]:
    """Return the average drop and the mean area of a method's maps for the most probable countries."""
    with torch.inference_mode():
        whole, labels = engine.network(batch_nchw).softmax(1).max(1)
    maps = [
        torch.from_numpy(explain_country(engine, photo, engine.labels[int(label)], method).heatmap_hw)
        for photo, label in zip(photos, labels, strict=True)
    ]
    mask = F.interpolate(torch.stack(maps)[:, None], size=batch_nchw.shape[-2:], mode="bilinear")
    with torch.inference_mode():
        left = engine.network(batch_nchw * mask).softmax(1).gather(1, labels[:, None])[:, 0]
    return float(((whole - left).clamp(min=0) / whole).mean()), float(mask.mean())


def main() -> None:
    """Print one line per layer and method."""
    folder = os.environ.get("TRIOVISION_DATA")
    if folder is None:
        raise SystemExit("Set TRIOVISION_DATA to a folder with manifest.csv and its photos.")
    engine = load_model("tf_efficientnet_lite0.places10k", device="cpu")
    assert isinstance(engine, CountryEngine)
    photos = held_out_photos(Path(folder))
    batch_nchw = engine.preprocess(photos)
    default = engine.target_layer
    print(f"{len(photos)} photos, {engine.card.id}")
    for layer in (default, "blocks.6"):
        engine.target_layer = layer
        for method in METHODS:
            drop, area = measure(engine, photos, batch_nchw, method)
            print(f"{layer:10} {method:12} average drop {drop:.3f}   mean area {area:.3f}")


if __name__ == "__main__":
    main()
