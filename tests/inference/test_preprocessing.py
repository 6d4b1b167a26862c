from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from triovision.inference.preprocessing import Preprocessing, centre_box

PREPROCESSING = Preprocessing(input_size=32, mean=(0.5, 0.4, 0.0), std=(0.5, 0.2, 1.0))


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [(100, 100, (0, 0, 1, 1)), (200, 100, (0.25, 0, 0.75, 1)), (100, 400, (0, 0.375, 1, 0.625))],
)
def test_centre_box(width: int, height: int, box: tuple[float, ...]) -> None:
    assert centre_box(width, height) == box


def test_only_the_centre_is_seen() -> None:
    image_hwc = np.zeros((40, 120, 3), dtype=np.uint8)
    image_hwc[:, 40:80] = 200
    assert (PREPROCESSING.image(image_hwc) == 200).all()


def test_each_channel_has_its_own_scale() -> None:
    image_hwc = np.full((50, 60, 3), (255, 102, 51), dtype=np.uint8)
    batch_nchw = PREPROCESSING.batch([image_hwc])
    assert batch_nchw.shape == (1, 3, 32, 32)
    assert batch_nchw.is_contiguous(memory_format=torch.channels_last)
    for channel, value in enumerate((1.0, 0.0, 0.2)):
        torch.testing.assert_close(batch_nchw[0, channel], torch.full((32, 32), value))


def test_read_only_pixels_are_left_alone() -> None:
    image_hwc = np.zeros((32, 32, 3), dtype=np.uint8)
    image_hwc.flags.writeable = False
    assert PREPROCESSING.batch([image_hwc]).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("width", "height"), [(90, 70), (640, 427), (31, 200), (32, 32), (20, 20)])
def test_the_resize_is_bit_identical_to_that_of_torchvision(width: int, height: int, interpolation: str) -> None:
    image_hwc = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    side = min(width, height)
    top, left = (height - side) // 2, (width - side) // 2
    square_chw = torch.from_numpy(image_hwc[top : top + side, left : left + side].copy()).permute(2, 0, 1)
    expected = v2.functional.resize(square_chw, [32, 32], v2.InterpolationMode(interpolation), antialias=True)
    found = PREPROCESSING.model_copy(update={"interpolation": interpolation}).image(image_hwc)
    assert torch.equal(found, expected)


WHOLE = PREPROCESSING.model_copy(update={"crop": "whole", "input_size": 64})


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(64, 64, (64, 64)), (300, 200, (64, 96)), (200, 300, (96, 64)), (900, 100, (64, 128)), (70, 64, (64, 64))],
)
def test_a_whole_picture_keeps_about_its_aspect(width: int, height: int, size: tuple[int, int]) -> None:
    assert WHOLE.size(width, height) == size
    assert WHOLE.image(np.zeros((height, width, 3), np.uint8)).shape == (3, *size)


def test_of_a_panorama_the_centre_is_seen() -> None:
    assert WHOLE.seen_box(400, 100) == (0.25, 0, 0.75, 1)
    assert WHOLE.seen_box(150, 100) == (0, 0, 1, 1)
    assert PREPROCESSING.seen_box(200, 100) == (0.25, 0, 0.75, 1)
