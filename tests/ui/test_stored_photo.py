import gc

import numpy as np
import pytest

from benchmarks.images import jpeg
from triovision.photo import read_photo
from triovision.ui import stored_photo
from triovision.ui.memory_budget import memory_budget
from triovision.ui.stored_photo import StoredPhoto


@pytest.fixture
def room_for_two(monkeypatch):
    """Pixels of two photos of 900 x 700 may be in memory."""
    monkeypatch.setattr(stored_photo, "_pixels", stored_photo._RecentPixels(2 * 900 * 700 * 3))


def store(seed, **changes):
    data = jpeg(900, 700, seed)
    return StoredPhoto(read_photo(data, f"{seed}.jpg"), changes.get("file", data))


@pytest.mark.usefixtures("room_for_two")
@pytest.mark.parametrize("large_file", [False, True])
def test_pixels_leave_memory_and_come_back_unchanged(monkeypatch, large_file):
    if large_file:
        monkeypatch.setattr(stored_photo, "_SMALL_FILE_BYTES", 10)
    photos = [store(seed) for seed in range(4)]
    expected = [read_photo(jpeg(900, 700, seed), f"{seed}.jpg") for seed in range(4)]
    pixels = 900 * 700 * 3
    assert [photo.held_bytes >= pixels for photo in photos] == [False, False, True, True]
    for photo, right in zip(photos, expected, strict=True):
        read = photo.read()
        assert np.array_equal(read.image_hwc, right.image_hwc)
        assert (read.name, read.format, read.camera, read.warnings) == (
            right.name,
            right.format,
            right.camera,
            right.warnings,
        )
        assert (read.original_width_px, read.original_height_px) == (900, 700)
    assert [photo.held_bytes >= pixels for photo in photos] == [False, False, True, True]


@pytest.mark.usefixtures("room_for_two")
def test_the_photo_looked_at_longest_ago_goes_first():
    first, second = store(1), store(2)
    first.read()
    third = store(3)
    assert second.held_bytes < first.held_bytes
    assert third.held_bytes > second.held_bytes


@pytest.mark.usefixtures("room_for_two")
def test_a_thumbnail_needs_no_pixels():
    photos = [store(seed) for seed in range(3)]
    before = [photo.held_bytes for photo in photos]
    assert all(photo.thumbnail().startswith("data:image/jpeg;base64,") for photo in photos)
    assert [photo.held_bytes for photo in photos] == before


@pytest.mark.usefixtures("room_for_two")
def test_the_budget_counts_photos_until_nobody_holds_them():
    gc.collect()
    before = memory_budget().used_bytes
    photos = [store(seed) for seed in range(3)]
    assert memory_budget().used_bytes - before == sum(photo.held_bytes for photo in photos)
    photos.clear()
    gc.collect()
    assert memory_budget().used_bytes == before
