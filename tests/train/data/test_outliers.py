from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.dataset import NO_LABEL, ValidationPhotos
from triovision.train.data.manifest import Manifest
from triovision.train.data.outliers import OutlierImages, blurred, magnified, random_phases, shuffled

SIDE = 48
RANDOM = np.random.default_rng(0)


@pytest.fixture
def square_hwc() -> np.ndarray:
    """Red to the right, green downwards: every pixel says where it was."""
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)
    columns, rows = np.meshgrid(ramp, ramp)
    return np.stack([columns, rows, np.full_like(rows, 90)], axis=2)


def test_a_magnified_spot_holds_a_small_part_of_the_colours(square_hwc: np.ndarray) -> None:
    for seed in range(20):
        changed = magnified(square_hwc, np.random.default_rng(seed))
        assert changed.shape == square_hwc.shape
        assert np.ptp(changed[..., 0].astype(int)) <= 255 * 8 / SIDE


def test_shuffling_keeps_the_colours_and_moves_the_tiles(square_hwc: np.ndarray) -> None:
    changed = shuffled(square_hwc, np.random.default_rng(1))
    assert changed.shape == square_hwc.shape
    # 48 is a multiple of all four numbers of tiles: not one pixel is lost.
    for channel in range(3):
        before, after = (np.sort(image[..., channel], axis=None) for image in (square_hwc, changed))
        np.testing.assert_array_equal(before, after)
    assert (changed != square_hwc).any(axis=2).mean() > 0.9


def test_blurring_leaves_no_step_between_neighbours() -> None:
    checks = np.where(np.indices((SIDE, SIDE)).sum(0)[..., None] % 2, 255, 0).repeat(3, axis=2).astype(np.uint8)
    for seed in range(10):
        changed = blurred(checks, np.random.default_rng(seed)).astype(int)
        assert np.abs(np.diff(changed, axis=0)).max() < 12


def test_random_phases_keep_mean_and_spectrum_but_not_the_picture() -> None:
    photo = np.clip(np.random.default_rng(0).normal(128, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    photo[10:20, 10:20] += 30
    changed = random_phases(photo, np.random.default_rng(1))
    np.testing.assert_allclose(changed.mean((0, 1)), photo.mean((0, 1)), atol=1.5)
    spectra = [np.abs(np.fft.fft2(image.astype(float).mean(2) - image.mean()))[1:9, 1:9] for image in (photo, changed)]
    assert np.corrcoef(spectra[0].ravel(), spectra[1].ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(photo.ravel(), changed.ravel())[0, 1]) < 0.5


def test_pictures_depend_on_the_seed_and_the_row_alone(tmp_path: Path) -> None:
    Image.fromarray(RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    preprocessing = Preprocessing(input_size=32, mean=(0, 0, 0), std=(1, 1, 1))

    def pictures(files: list[str], seed: int) -> list[object]:
        manifest = Manifest(pd.DataFrame({"file": files, "country": "FR"}), tmp_path, "")
        photos = ValidationPhotos(manifest, (), preprocessing)
        return list(map(OutlierImages(photos, 8, seed).__getitem__, range(8)))

    first, again, other = (pictures(["a.png"], seed) for seed in (0, 0, 1))
    for one, two, three in zip(first, again, other, strict=True):
        assert one[0].shape == (3, 32, 32)  # type: ignore[index]
        assert one[1] == NO_LABEL  # type: ignore[index]
        assert torch.equal(one[0], two[0])  # type: ignore[index]
        assert not torch.equal(one[0], three[0])  # type: ignore[index]
    assert pictures(["b.png"], 0) == [None] * 8
