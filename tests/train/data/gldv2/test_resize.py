from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triovision.errors import PhotoError
from triovision.train.data.gldv2.resize import SmallJpeg


@pytest.mark.parametrize(
    ("size", "stored"),
    [
        ((1200, 800), (384, 256)),
        ((800, 1200), (256, 384)),
        ((256, 256), (256, 256)),
        ((120, 80), (120, 80)),
        ((4000, 300), (3413, 256)),
    ],
)
def test_the_shorter_side_is_brought_to_256_and_never_enlarged(
    jpeg: Callable[..., bytes], tmp_path: Path, size: tuple[int, int], stored: tuple[int, int]
) -> None:
    path = tmp_path / "a" / "b" / "photo.jpg"
    SmallJpeg().save(jpeg(0, *size), path)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", stored)
    assert [entry.name for entry in path.parent.iterdir()] == ["photo.jpg"]


def test_the_picture_is_turned_upright_and_its_notes_are_left_behind(tmp_path: Path) -> None:
    pixels_hwc = np.zeros((80, 120, 3), np.uint8)
    pixels_hwc[:, :60] = (255, 0, 0)  # red left half; turned by 90° clockwise it is on top
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(pixels_hwc).save(buffer, "JPEG", exif=exif)
    SmallJpeg(short_side_px=40).save(buffer.getvalue(), tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as image:
        assert image.size == (40, 60)
        assert not image.getexif()
        stored_hwc = np.asarray(image).astype(int)
    assert stored_hwc[:25, :, 0].min() > 200
    assert stored_hwc[35:, :, 0].max() < 55


def test_quality_decides_the_size(jpeg: Callable[..., bytes], tmp_path: Path) -> None:
    for quality in (30, 95):
        SmallJpeg(quality=quality).save(jpeg(0, 600, 400), tmp_path / f"{quality}.jpg")
    assert (tmp_path / "30.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size / 2


def test_what_is_no_photo_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"photo\.jpg"):
        SmallJpeg().save(b"<html>gone</html>", tmp_path / "photo.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_part(
    jpeg: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        SmallJpeg().save(jpeg(), tmp_path / "photo.jpg")
    assert list(tmp_path.iterdir()) == []
