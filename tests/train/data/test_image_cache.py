"""Image cache: each photo is decoded once, and read back unchanged."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from triovision.errors import RecipeError
from triovision.inference.preprocessing import Preprocessing
from triovision.photo import read_photo
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.dataset import TrainingPhotos, ValidationPhotos
from triovision.train.data.image_cache import (
    ImageCache,
    NetworkInput,
    ShorterSide,
    check_space,
    open_cache,
    shorter_side,
)
from triovision.train.data.manifest import Manifest, read_manifest
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import Augmentation

SQUARE = Preprocessing(input_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
RECIPE = Recipe(
    name="tiny", description="", architecture="test_efficientnet", preprocessing=SQUARE,
    augmentation=Augmentation(train_size=32),
)  # fmt: skip
FILES = [f"{i}.jpg" for i in range(6)]


@pytest.fixture
def manifest(photo_folder: Path) -> Manifest:
    table = pd.DataFrame({"file": [*FILES, "note.jpg"], "country": ["FR"] * 7})
    return Manifest(table, photo_folder, "0" * 64)


@pytest.fixture
def bad(tmp_path: Path) -> UnreadablePhotos:
    return UnreadablePhotos(tmp_path / "unreadable.csv", allowed=1)


@pytest.fixture
def opened(manifest: Manifest, tmp_path: Path, bad: UnreadablePhotos) -> Callable[..., ImageCache]:
    def open_it(files: list[str] = FILES, side: int = 60, workers: int = 0) -> ImageCache:
        return open_cache(tmp_path / "cache", manifest, files, ShorterSide(side), workers, bad)

    return open_it


@pytest.mark.parametrize("workers", [0, 2])
def test_a_kept_picture_is_the_decoded_one_resized(
    opened: Callable[..., ImageCache], photo_folder: Path, workers: int
) -> None:
    cache = opened(workers=workers)
    for file in FILES:
        decoded = read_photo((photo_folder / file).read_bytes(), file).image_hwc
        resized = F.resize(torch.from_numpy(decoded.copy()).permute(2, 0, 1), [60], antialias=True)
        kept = cache.image(file)
        assert kept is not None
        assert kept.shape == (60, 75, 3)
        np.testing.assert_array_equal(kept, resized.permute(1, 2, 0).numpy())


def test_training_sees_from_the_cache_what_it_would_decode(
    opened: Callable[..., ImageCache], manifest: Manifest
) -> None:
    # Pictures of 80 x 100 are not enlarged: a cache of 200 keeps what is decoded, pixel by pixel.
    cached = TrainingPhotos(manifest, ("FR",), RECIPE, opened(side=200))
    decoded = TrainingPhotos(manifest, ("FR",), RECIPE)
    for row in range(len(FILES)):
        first, second = cached[row, 5 + row], decoded[row, 5 + row]
        assert first is not None
        assert second is not None
        assert torch.equal(first[0], second[0])
        assert first[1] == second[1] == 0


def test_validation_pictures_from_the_cache_are_those_of_inference(
    manifest: Manifest, tmp_path: Path, bad: UnreadablePhotos
) -> None:
    cache = open_cache(tmp_path / "cache", manifest, FILES, NetworkInput(SQUARE), 0, bad)
    for cached, decoded in zip(
        *(map(ValidationPhotos(manifest, ("FR",), SQUARE, source).__getitem__, range(6)) for source in (cache, None)),
        strict=True,
    ):
        assert cached is not None
        assert decoded is not None
        assert torch.equal(cached[0], decoded[0])


def test_nothing_is_decoded_twice(opened: Callable[..., ImageCache], photo_folder: Path, manifest: Manifest) -> None:
    opened()
    for file in FILES:
        (photo_folder / file).unlink()
    assert TrainingPhotos(manifest, ("FR",), RECIPE, opened())[3, 1] is not None


def test_another_size_or_manifest_or_folder_is_another_cache(
    opened: Callable[..., ImageCache], manifest: Manifest, tmp_path: Path, bad: UnreadablePhotos
) -> None:
    first = opened()
    assert opened(side=40).image("0.jpg").shape == (40, 50, 3)  # type: ignore[union-attr] # it fails on None
    assert first.image("0.jpg").shape == (60, 75, 3)  # type: ignore[union-attr]
    others = [
        Manifest(manifest.table, manifest.root, "1" * 64),
        Manifest(manifest.table, tmp_path, manifest.sha256),
    ]
    folders = {
        open_cache(tmp_path / "cache", other, [], ShorterSide(60), 0, bad).store.folder for other in (manifest, *others)
    }
    assert len(folders) == 3


def test_an_unreadable_photo_is_listed_and_tried_again(
    opened: Callable[..., ImageCache], photo_folder: Path, bad: UnreadablePhotos
) -> None:
    assert opened([*FILES, "note.jpg"]).image("note.jpg") is None
    assert bad.listed() == {"note.jpg"}
    Image.new("RGB", (80, 80)).save(photo_folder / "note.jpg")
    assert opened([*FILES, "note.jpg"]).image("note.jpg") is not None


KILLED = """
import os, signal, sys
from pathlib import Path
import triovision.train.data.array_store as stores
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.data.manifest import read_manifest
from triovision.train.data.image_cache import ShorterSide, open_cache
append = stores._append

def die_in_the_middle(path, data):
    if path.exists() and path.stat().st_size > 0 and path.name == sys.argv[2]:
        append(path, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    append(path, data)

stores._append = die_in_the_middle
folder = Path(sys.argv[1])
manifest = read_manifest(folder / "manifest.csv")
files = list(manifest.table["file"])
open_cache(folder / "cache", manifest, files, ShorterSide(20), 0, UnreadablePhotos(folder / "bad.csv", 0))
"""


@pytest.mark.parametrize("half_written", ["arrays.bin", "index.bin"])
def test_a_killed_build_goes_on_and_half_a_picture_is_never_read(tmp_path: Path, half_written: str) -> None:
    random = np.random.default_rng(1)
    files = [f"{i}.png" for i in range(40)]
    for file in files:
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(tmp_path / file)
    (tmp_path / "manifest.csv").write_text("file,country\n" + "".join(f"{file},FR\n" for file in files))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), half_written], check=False)
    assert done.returncode == -signal.SIGKILL
    folder = next((tmp_path / "cache").iterdir())
    store = ArrayStore(folder, np.uint8)
    # Pictures are written 16 at a time; of the second lot all or half the bytes are there, and half the index.
    whole = 16 if half_written == "arrays.bin" else 24
    assert len(store) == whole
    manifest = read_manifest(tmp_path / "manifest.csv")
    cache = open_cache(
        tmp_path / "cache", manifest, files, ShorterSide(20), 0, UnreadablePhotos(tmp_path / "bad.csv", 0)
    )
    assert cache.store.folder == folder
    for file in files:
        np.testing.assert_array_equal(cache.image(file), np.asarray(Image.open(tmp_path / file)))
    assert (folder / "arrays.bin").stat().st_size == 40 * 20 * 30 * 3


def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path, np.uint8)
    first, second = np.full((10, 10, 3), 7, np.uint8), np.full((1000, 100, 3), 9, np.uint8)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.writing() as appender:
        appender.append([(0, first)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the system refuses to write more than this
        try:
            with pytest.raises(RecipeError, match=os.strerror(errno.EFBIG)):
                appender.append([(1, second)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.get(1) is None
    np.testing.assert_array_equal(store.get(0), first)
    with store.writing() as appender:
        appender.append([(1, second)])
    np.testing.assert_array_equal(store.get(1), second)
    assert store.data_path.stat().st_size == first.nbytes + second.nbytes


def test_a_build_that_cannot_fit_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="Free some space"):
        check_space(tmp_path, 10**18)


def test_crops_keep_their_resolution() -> None:
    # A crop of a quarter of the area has half of the side.
    assert shorter_side(Augmentation(train_size=100, min_area=0.25)) == 200
    assert ShorterSide(200).typical_bytes == 200 * 300 * 3
