from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.cars.miniature import draw_car, write_miniature
from triovision.errors import ManifestError


def test_the_box_holds_the_car_and_nothing_else() -> None:
    for seed in range(5):
        image, (x1, y1, x2, y2) = draw_car(3, np.random.default_rng(seed))
        assert 1 <= x1 < x2 <= image.width
        assert 1 <= y1 < y2 <= image.height
        # The paint is the one saturated colour: street and sky are near grey.
        pixels = np.asarray(image).astype(int)
        rows, columns = np.nonzero(np.ptp(pixels, axis=2) > 110)
        assert len(rows) > 100
        assert x1 - 1 <= columns.min()
        assert columns.max() <= x2 - 1
        assert y1 - 1 <= rows.min()
        assert rows.max() <= y2 - 1


def test_the_same_seed_draws_the_same_photos(miniature: Path, tmp_path: Path) -> None:
    write_miniature(tmp_path, classes=3, train=8, test=3)
    for folder, photos in (("cars_train", 24), ("cars_test", 9)):
        files = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert len(files) == photos
        first, again = (np.asarray(Image.open(root / folder / files[0])) for root in (miniature, tmp_path))
        assert np.array_equal(first, again)


def test_a_devkit_is_not_overwritten(miniature: Path) -> None:
    with pytest.raises(ManifestError, match="holds a devkit already"):
        write_miniature(miniature, classes=2, train=7, test=1)
