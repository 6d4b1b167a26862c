"""Photos that the small worldwide model tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triovision.results import Photo

pytest.importorskip("geoclip", reason="the optional extra: pip install -r requirements-geoclip.txt")
pytest.importorskip("transformers")


@pytest.fixture
def some_photos(china: bytes, tmp_path: Path) -> list[tuple[Path, Photo]]:
    """A wide photo, a high noise and a blue square, each as a file and as the engine's photo."""
    (tmp_path / "china.jpg").write_bytes(china)
    wide = Image.open(tmp_path / "china.jpg").convert("RGB")
    pictures = {
        "wide": wide,
        "high": wide.rotate(90, expand=True).crop((30, 20, 330, 597)),
        "square": wide.resize((97, 97)),
    }
    made = []
    for name, picture in pictures.items():
        path = tmp_path / f"{name}.png"
        picture.save(path)
        image_hwc = np.asarray(picture)
        image_hwc.setflags(write=False)
        width, height = picture.size
        photo = Photo(
            name=path.name, image_hwc=image_hwc, original_width_px=width, original_height_px=height, format="PNG"
        )
        made.append((path, photo))
    return made
