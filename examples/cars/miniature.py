"""Drawn cars in the layout of Stanford Cars, for tests and for a first try without the data set."""

from __future__ import annotations

import colorsys
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy.io import savemat

from examples.cars.devkit import META, TEST, TRAIN
from triovision.errors import ManifestError
from triovision.files import atomic_write

#: Names of real classes; the drawings do not resemble them.
CLASSES: Final = (
    "AM General Hummer SUV 2000",
    "Acura TL Sedan 2012",
    "Aston Martin V8 Vantage Coupe 2012",
    "Audi R8 Coupe 2012",
    "Fiat 500 Abarth 2012",
    "Land Rover LR2 SUV 2012",
    "Rolls-Royce Ghost Sedan 2012",
    "Volvo 240 Sedan 1993",
)
_BOX: Final = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


def write_miniature(root: Path, classes: int, train: int, test: int, seed: int = 0) -> None:
    """Write photos and annotations of drawn cars; a class has a colour and proportions of its own, with some noise.

    Args:
        root: Folder to write, which must not hold a devkit yet.
        classes: Number of classes, at most those of `CLASSES`.
        train: Training photos of each class.
        test: Test photos of each class.
        seed: Seed of the drawings.

    Raises:
        ManifestError: If the folder holds a devkit.
    """
    if (root / "devkit").exists():
        raise ManifestError(str(root), "holds a devkit already", "Give another --out folder")
    random = np.random.default_rng(seed)
    for folder, file, photos in (("cars_train", TRAIN, train), ("cars_test", TEST, test)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        labels = random.permutation(np.repeat(np.arange(classes), photos))
        rows = []
        for number, label in enumerate(labels, start=1):
            image, box = draw_car(int(label), random)
            name = f"{number:05d}.jpg"
            image.save(root / folder / name, quality=90)
            rows.append((*box, label + 1, name))
        write_annotations(root / "devkit" / file, rows, "fname")
    # Last, because the reader asks for it: an interrupted miniature is no devkit.
    write_mat(root / "devkit" / META, {"class_names": np.array([CLASSES[:classes]], dtype=object)})


def draw_car(label: int, random: np.random.Generator) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """Draw one car on a street.

    Args:
        label: Index of the class.
        random: Source of size, place, colour and noise.

    Returns:
        The image, and its box: x1, y1, x2, y2 in pixels, counted from 1, both ends inside.
    """
    width, height = (int(side) for side in random.integers((96, 72), (161, 121)))
    image = Image.new("RGB", (width, height), tuple(random.integers(150, 220, 3).tolist()))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 2 // 3, width, height), fill=tuple(random.integers(80, 120, 3).tolist()))
    long = int(width * random.uniform(0.55, 0.85))
    high = int(long * (0.3 + 0.05 * (label % 4)))
    x, y = int(random.integers(0, width - long)), int(random.integers(0, max(1, height - high)))
    shade = colorsys.hsv_to_rgb((label / len(CLASSES) + random.normal(0, 0.015)) % 1, 0.8, random.uniform(0.6, 0.9))
    paint = tuple(int(255 * part) for part in shade)
    wheel = high // 5
    right, bottom = x + long - 1, min(height, y + high) - 1
    draw.rectangle((x, y + high // 3, right, bottom - wheel), fill=paint)
    draw.polygon(
        [
            (x + long // 5, y + high // 3),
            (x + long // 3, y),
            (x + long * 2 // 3, y),
            (x + long * 4 // 5, y + high // 3),
        ],
        fill=paint,
    )
    for centre in (x + long // 4, x + long * 3 // 4):
        draw.ellipse((centre - wheel, bottom - 2 * wheel, centre + wheel, bottom), fill=(20, 20, 20))
    pixels = np.asarray(image, np.float64) + random.normal(0, 6, (height, width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), (x + 1, y + 1, right + 1, bottom + 1)


def write_annotations(path: Path, rows: list[tuple[Any, ...]], file_field: str) -> None:
    """Write annotations as the devkit has them: a struct array of box, class and file.

    Args:
        path: MAT file.
        rows: x1, y1, x2, y2, number of the class from 1, and file of each photo.
        file_field: Name of the field of the file.
    """
    fields = (*_BOX, "class", file_field)
    annotations = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    for column, row in enumerate(rows):
        annotations[0, column] = row
    write_mat(path, {"annotations": annotations})


def write_mat(path: Path, variables: dict[str, Any]) -> None:
    """Write a MAT file atomically."""
    buffer = BytesIO()
    savemat(buffer, variables)
    atomic_write(path, buffer.getvalue())
