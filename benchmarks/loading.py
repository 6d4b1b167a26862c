"""Photos per second from the image cache and the feature cache, as a ratio to no cache."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.images import jpeg
from benchmarks.timing import in_turn
from triovision.inference.preprocessing import Preprocessing
from triovision.networks import build_classifier
from triovision.train.data.dataset import TrainingPhotos, collate
from triovision.train.data.feature_cache import cache_features, collate_features, leading_modules, split_frozen_layers
from triovision.train.data.image_cache import ShorterSide, open_cache, shorter_side
from triovision.train.data.manifest import Manifest
from triovision.train.data.samplers import SampleKey
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import Augmentation

PHOTOS, BATCH, VARIANTS, ROUNDS = 192, 32, 8, 3
LIMIT = 3.0
SQUARE = Preprocessing(input_size=160, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
#: The crop and flip that the plain loop does too: what is compared is decoding, not augmentation.
LIGHT = Augmentation(
    train_size=160, min_area=0.4, resolution_p=0, jpeg_p=0, blur_p=0, colour=0, hue=0, grey_p=0, erase_p=0
)
RECIPE = Recipe(
    name="benchmark", description="", architecture="tf_efficientnet_lite0", preprocessing=SQUARE, augmentation=LIGHT
)
#: Of seven; what is won depends on how much is frozen, and the limit is for all but the last.
FROZEN_BLOCKS = (4, 5, 6)


def write_photos(folder: Path) -> Manifest:
    """JPEG files in two folders by country, as ImageFolder wants them, and their manifest."""
    variants = [jpeg(1600, 1200, seed) for seed in range(VARIANTS)]
    files = [f"{('FR', 'JP')[i % 2]}/{i}.jpg" for i in range(PHOTOS)]
    for country in ("FR", "JP"):
        (folder / country).mkdir()
    for i, file in enumerate(files):
        (folder / file).write_bytes(variants[i % VARIANTS])
    table = pd.DataFrame({"file": files, "country": [file[:2] for file in files]})
    return Manifest(table, folder, "0" * 64)


def through(loader: DataLoader[tuple[torch.Tensor, torch.Tensor]]) -> Callable[[], None]:
    """One epoch of a loader."""

    def epoch() -> None:
        seen = sum(len(images) for images, _ in loader)
        assert seen == PHOTOS, seen

    return epoch


def draws(epoch: int) -> list[SampleKey]:
    """Every photo once, with a seed of its own."""
    return [(row, epoch * PHOTOS + row) for row in range(PHOTOS)]


def pictures(manifest: Manifest, scratch: Path) -> None:
    """Print photos a second of the three ways to load."""
    workers = os.cpu_count() or 1
    bad = UnreadablePhotos(scratch / "bad.csv", 0)
    resize = ShorterSide(shorter_side(LIGHT))
    start = time.perf_counter()
    cache = open_cache(scratch / "cache", manifest, list(manifest.table["file"]), resize, workers, bad)
    print(f"tensor cache of {PHOTOS} photos built in {time.perf_counter() - start:.1f} s, {workers} processes")
    plain = v2.Compose(
        [
            v2.PILToTensor(),
            v2.RandomResizedCrop(160, (0.4, 1), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(SQUARE.mean, SQUARE.std),
        ]
    )
    load = {"batch_size": BATCH, "num_workers": workers, "persistent_workers": True}
    ours = {"sampler": draws(0), "collate_fn": collate(SQUARE), **load}
    calls = {
        "ImageFolder": through(DataLoader(ImageFolder(scratch / "photos", plain), shuffle=True, **load)),
        "decoding": through(DataLoader(TrainingPhotos(manifest, ("FR", "JP"), RECIPE), **ours)),
        "tensor cache": through(DataLoader(TrainingPhotos(manifest, ("FR", "JP"), RECIPE, cache), **ours)),
    }
    show(in_turn(calls, ROUNDS), "ImageFolder", "tensor cache", LIMIT)


def epoch_of(
    network: nn.Module, photos: Dataset[object], stack: Callable[..., tuple[torch.Tensor, torch.Tensor]]
) -> Callable[[], None]:
    """One epoch of training what is not frozen, in bfloat16."""
    optimiser = torch.optim.AdamW([weights for weights in network.parameters() if weights.requires_grad])
    loader = DataLoader(photos, BATCH, sampler=draws(0), collate_fn=stack)

    def epoch() -> None:
        for batch, target in loader:
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(network(batch).float(), target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return epoch


def frozen_network(n_blocks: int) -> nn.Module:
    """The network with its first blocks frozen."""
    network = build_classifier(RECIPE.architecture, 2).to(memory_format=torch.channels_last).train()
    for module in leading_modules(network, n_blocks):
        module.eval().requires_grad_(False)
    return network


def frozen(manifest: Manifest, scratch: Path, n_blocks: int) -> None:
    """Print photos a second of an epoch that computes the frozen part, and of one that reads it."""
    cache = open_cache(
        scratch / "cache", manifest, list(manifest.table["file"]), ShorterSide(shorter_side(LIGHT)), 0,
        UnreadablePhotos(scratch / "bad.csv", 0),
    )  # fmt: skip
    photos = TrainingPhotos(manifest, ("FR", "JP"), RECIPE, cache)
    whole, rest = frozen_network(n_blocks), frozen_network(n_blocks)
    frozen = split_frozen_layers(rest, n_blocks)
    start = time.perf_counter()
    features = cache_features(scratch / "cache", frozen, photos, {"of": "the benchmark"}, 0)
    size = np.mean([features.store.get(row).nbytes for row in range(PHOTOS)]) / 1000  # type: ignore[union-attr] # all are there
    print(
        f"features of {PHOTOS} photos behind {n_blocks} of 7 stages computed in "
        f"{time.perf_counter() - start:.1f} s, {size:.0f} kB a photo"
    )
    calls = {
        "tensor cache": epoch_of(whole, photos, collate(SQUARE)),
        "frozen features": epoch_of(rest, features, collate_features),
    }
    show(in_turn(calls, ROUNDS), "tensor cache", "frozen features", LIMIT if n_blocks == max(FROZEN_BLOCKS) else None)


def show(times_ms: dict[str, float], plain: str, ours: str, limit: float | None) -> None:
    """Print the rates and the ratio of the two that are compared."""
    for name, milliseconds in times_ms.items():
        print(f"  {name:16} {PHOTOS / milliseconds * 1000:8.1f} photos/s")
    ratio = times_ms[plain] / times_ms[ours]
    verdict = "" if limit is None else f" (target: at least {limit}) {'ok' if ratio >= limit else 'MISSED'}"
    print(f"  {ours} to {plain} = {ratio:.1f}{verdict}")


def main() -> None:
    """Measure both caches on photos of 1600 x 1200."""
    print(f"{torch.get_num_threads()} threads, {PHOTOS} JPEG files of 1600 x 1200, batches of {BATCH}")
    with TemporaryDirectory() as scratch:
        (Path(scratch) / "photos").mkdir()
        manifest = write_photos(Path(scratch) / "photos")
        pictures(manifest, Path(scratch))
        for n_blocks in FROZEN_BLOCKS:
            frozen(manifest, Path(scratch), n_blocks)


if __name__ == "__main__":
    main()
