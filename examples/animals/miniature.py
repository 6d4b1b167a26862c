"""Miniature of the data set: drawn foxes and other shapes in two folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

_SIDE = 64


def write_miniature(out: Path, photos: int, seed: int = 0) -> None:
    """Write `fox/` and `other/`.

    A fox is an orange triangle with two ears; the others are triangles without ears or of other colours, and discs, so
    that colour alone does not tell.

    Args:
        out: Folder to write.
        photos: Photos of each folder.
        seed: Seed of the drawings.
    """
    random = np.random.default_rng(seed)
    for name in ("fox", "other"):
        (out / name).mkdir(parents=True, exist_ok=True)
        for number in range(photos):
            _drawing(random, fox=name == "fox").save(out / name / f"{number:04}.png")


def _drawing(random: np.random.Generator, *, fox: bool) -> Image.Image:
    noise = random.integers(40, 200, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    x, y, r = (int(random.integers(*bounds)) for bounds in ((20, 44), (24, 44), (10, 18)))
    ears = fox or random.random() < 0.3
    orange = (int(random.integers(200, 255)), int(random.integers(90, 140)), int(random.integers(10, 60)))
    blue = (orange[2], orange[1], orange[0])
    color = orange if fox or not ears else blue
    if not fox and random.random() < 0.5:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
        return image
    draw.polygon([(x - r, y - r // 2), (x + r, y - r // 2), (x, y + r)], fill=color)
    if ears:
        for side in (-1, 1):
            tip = x + side * r
            draw.polygon([(tip, y - r // 2), (x + side * r // 3, y - r // 2), (tip, y - 2 * r)], fill=color)
    return image
