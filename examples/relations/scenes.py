"""Generated scenes: photos or textures as objects on a background, boxes known, relations decided by geometry."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from examples.relations.annotations import FILES
from examples.relations.geometry import RELATIONS, Boxes, relations_of
from triovision.errors import ManifestError, PhotoError
from triovision.files import atomic_write
from triovision.photo import read_photo
from triovision.train.data.manifest import Manifest, read_manifest

log = logging.getLogger(__name__)

#: Published numbers of pairs. All ten relations have 30,860 pairs together (the class weights of the three follow from
#: that), and the other seven are taken as equally frequent.
PUBLISHED: Final[Mapping[str, int]] = {"on": 13_103, "inside": 137, "outside": 38}
PUBLISHED_TOTAL: Final = 30_860
#: Parts of a scene's photos, by the folds of whole sources in the manifest's column; no photo is in two parts.
FOLD_COLUMN: Final = "split_new_sources"
PART_OF_FOLD: Final[Mapping[str, str]] = {"0": "train", "1": "train", "2": "train", "3": "val", "4": "test"}
SHARES: Final[Mapping[str, float]] = {"train": 0.6, "val": 0.2, "test": 0.2}

#: What the scenes of a folder were made from, so that scenes of two kinds are never mixed.
SETTINGS: Final = "generated.json"

_SIZE: Final = (256, 192)
_SMALLEST, _LARGEST = 0.12, 0.55
_DRAWS: Final = 20_000
_TRIES: Final = 10

Pixels = NDArray[np.uint8]


def counts_for(pairs: int, fewest: int) -> dict[str, int]:
    """Number of pairs of each relation, in the published proportions.

    Args:
        pairs: Number of pairs, met to rounding and `fewest`.
        fewest: Smallest number of pairs of a relation, so that rare ones can be measured at all.
    """
    rest = (PUBLISHED_TOTAL - sum(PUBLISHED.values())) / (len(RELATIONS) - len(PUBLISHED))
    return {name: max(fewest, round(pairs * PUBLISHED.get(name, rest) / PUBLISHED_TOTAL)) for name in RELATIONS}


def draw_boxes(counts: Mapping[str, int], seed: int) -> tuple[Boxes, Boxes, NDArray[np.int64]]:
    """Draw pairs of boxes at random until each relation has its number.

    Args:
        counts: Number of pairs by relation.
        seed: Seed of the draws.

    Returns:
        Boxes of the subjects and of the objects, in whole pixels, `(n, 4)` each, and the relations, `(n,)`, shuffled.
    """
    random = np.random.default_rng(seed)
    wanted = np.array([counts.get(name, 0) for name in RELATIONS])
    subjects, objects, labels = [], [], []
    while wanted.any():
        subject, object_ = (_random_boxes(random) for _ in range(2))
        relation = relations_of(subject, object_)
        for label in np.flatnonzero(wanted):
            rows = np.flatnonzero(relation == label)[: wanted[label]]
            subjects.append(subject[rows])
            objects.append(object_[rows])
            labels.append(relation[rows])
            wanted[label] -= len(rows)
    order = random.permutation(sum(map(len, labels)))
    return np.concatenate(subjects)[order], np.concatenate(objects)[order], np.concatenate(labels)[order]


def _random_boxes(random: np.random.Generator) -> Boxes:
    sides = np.rint(random.uniform(_SMALLEST, _LARGEST, (_DRAWS, 2)) * _SIZE)
    start = np.floor(random.uniform(0, 1, (_DRAWS, 2)) * (np.array(_SIZE) - sides + 1))
    return np.concatenate([start, start + sides], axis=1)


def write_scenes(out: Path, counts: Mapping[str, int], photos: Path | None, seed: int) -> Path:
    """Write scenes of one pair each, with their annotations in the plain layout.

    The smaller object lies over the larger one. The three pictures of a scene are photos of its part, cut out at
    random; textures without photos. The same call goes on where a stopped one was.

    Args:
        out: Folder of `scenes/`, `relations.json` and `generated.json`.
        counts: Number of pairs by relation.
        photos: Folder with `manifest.csv`, whose column `split_new_sources` has folds of whole sources; None for
            textures.
        seed: Seed of the scenes.

    Returns:
        Path of the annotations.

    Raises:
        ManifestError: If the manifest cannot be read or lacks photos of a part, or the folder holds other scenes or
            annotations.
    """
    manifest = None if photos is None else read_manifest(photos / "manifest.csv", columns=[FOLD_COLUMN])
    pools = {part: None if manifest is None else _photos(manifest, part) for part in SHARES}
    _claim(out, {"counts": dict(counts), "seed": seed, "photos_sha256": manifest and manifest.sha256})
    subject, object_, labels = draw_boxes(counts, seed)
    parts = _parts(labels)
    entries = []
    for number, part in enumerate(tqdm(parts, "scenes", unit="scene", disable=None)):
        name = f"scenes/{number:05d}.jpg"
        boxes = [[int(side) for side in box[number]] for box in (subject, object_)]
        if not (out / name).exists():  # a stopped run goes on
            random = np.random.default_rng((seed, number))
            atomic_write(out / name, _scene(boxes, pools[part], random))
        entries.append(
            {
                "image": name,
                "subject": boxes[0],
                "object": boxes[1],
                "relation": RELATIONS[labels[number]],
                "split": part,
            }
        )
    atomic_write(out / FILES["plain"], json.dumps(entries, indent=0) + "\n")
    return out / FILES["plain"]


def _claim(out: Path, settings: Mapping[str, object]) -> None:
    """Record the settings of the scenes; ManifestError where the folder has others, or annotations of its own."""
    text = json.dumps(settings, indent=1) + "\n"
    path = out / SETTINGS
    existing = path.read_text(encoding="utf-8") if path.exists() else None
    if existing is None and not (out / FILES["plain"]).exists():
        atomic_write(path, text)
    elif existing != text:
        raise ManifestError(str(out), "holds other scenes or annotations", "Give another --out folder")


def _parts(labels: NDArray[np.int64]) -> list[str]:
    """Part of each scene; every relation has the same share in each part."""
    parts = np.empty(len(labels), dtype="<U5")
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)  # in random order already
        ends = np.rint(np.cumsum(list(SHARES.values())) * len(rows)).astype(int)
        for name, of_part in zip(SHARES, np.split(rows, ends[:-1]), strict=True):
            parts[of_part] = name
    return parts.tolist()


def _photos(manifest: Manifest, part: str) -> list[Path]:
    """Photos of a part; ManifestError where it has fewer than three."""
    folds = [fold for fold, of_fold in PART_OF_FOLD.items() if of_fold == part]
    paths = manifest.where(pd.Series(manifest.table[FOLD_COLUMN].isin(folds))).paths
    if len(paths) < 3:
        reason = f"has {len(paths)} photos in the folds {', '.join(folds)} of `{FOLD_COLUMN}`, for {part}"
        raise ManifestError(str(manifest.root), reason, "Give a manifest with folds 0 to 4, or --textures")
    return paths


def _scene(boxes: Sequence[Sequence[int]], pool: Sequence[Path] | None, random: np.random.Generator) -> bytes:
    """A background with the two objects, as JPEG."""
    scene = Image.fromarray(_picture(pool, _SIZE, random))
    sizes = [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]
    objects = [Image.fromarray(_picture(pool, size, random)) for size in sizes]
    for i in sorted(range(2), key=lambda i: -sizes[i][0] * sizes[i][1]):
        scene.paste(objects[i], (boxes[i][0], boxes[i][1]))
    data = BytesIO()
    scene.save(data, "JPEG", quality=90)
    return data.getvalue()


def _picture(pool: Sequence[Path] | None, size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """A photo of the pool, or a texture, of a width and height."""
    if pool is None:
        return _texture(size, random)
    for path in random.choice(np.array(pool), _TRIES):
        try:
            photo = Image.fromarray(read_photo(path.read_bytes(), path.name).image_hwc)
        except (OSError, PhotoError) as exc:
            log.warning("skipped %s: %s", path.name, exc)
            continue
        scale = min(photo.width / size[0], photo.height / size[1])
        cut = np.array(size) * scale
        start = random.uniform(0, 1, 2) * np.maximum(0, photo.size - cut)
        end = np.minimum(start + cut, photo.size)
        return np.asarray(photo.resize(size, Image.Resampling.BILINEAR, (*start.tolist(), *end.tolist())))
    remedy = "Restore the photos of the manifest, or give --textures"
    raise ManifestError(str(pool[0].parent), f"{_TRIES} photos drawn from it and its like cannot be read", remedy)


def _texture(size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """Coloured blobs: a coarse grid of random colours, enlarged."""
    coarse = random.integers(0, 256, (*random.integers(2, 6, 2), 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
