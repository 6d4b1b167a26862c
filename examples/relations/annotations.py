"""Readers of annotated pairs: SpatialSense's layout, VRD's layout, and a plain list."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from examples.relations.geometry import RELATIONS
from triovision.errors import ManifestError
from triovision.photo.names import shown_name

Layout = Literal["spatialsense", "vrd", "plain"]
Box = tuple[float, float, float, float]
Part = Literal["train", "val", "test", ""]

#: Name of the annotations of each layout, in the order in which a folder is searched.
FILES: Final[Mapping[Layout, str]] = {
    "plain": "relations.json",
    "spatialsense": "annotations.json",
    "vrd": "annotations_train.json",
}
#: Predicates of SpatialSense and VRD that are one of the ten relations by another name.
SYNONYMS: Final = {
    "on": ("on the top of", "sit on", "stand on", "lying on", "park on", "drive on", "sleep on", "rest on", "skate on"),
    "under": ("stand under", "sit under", "beneath"),
    "above": ("over",),
    "left of": ("to the left of", "on the left of"),
    "right of": ("to the right of", "on the right of"),
    "near": ("by",),
    "next to": (
        *("sleep next to", "sit next to", "stand next to", "park next", "walk next to"),
        *("beside", "walk beside", "adjacent to"),
    ),
    "inside": ("in",),
    "outside": ("outside of",),
}
_RELATION_OF: Final = {name: name for name in RELATIONS} | {
    other: name for name, others in SYNONYMS.items() for other in others
}
_PARTS: Final[Mapping[str, Part]] = {"train": "train", "valid": "val", "val": "val", "test": "test", "": ""}
#: Folders of the pictures in the archives of both data sets.
_IMAGE_FOLDERS: Final = (
    *("", "images", "images/flickr", "images/nyu"),
    *("sg_train_images", "sg_test_images", "sg_dataset/sg_train_images", "sg_dataset/sg_test_images"),
)
_SIDEWAYS: Final = (5, 6, 7, 8)  # values of EXIF's orientation that exchange width and height
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True, slots=True)
class Pair:
    """Two boxes in a picture and the relation of the first to the second.

    Attributes:
        image: Path of the picture.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        subject: Box of the subject: left, top, right, bottom in pixels.
        object: Box of the object.
        relation: One of `RELATIONS`.
        part: Part that the annotations give the picture, or empty.
    """

    image: Path
    width: int
    height: int
    subject: Box
    object: Box
    relation: str
    part: Part


@dataclass(frozen=True)
class Annotations:
    """What a reader found.

    Attributes:
        pairs: Usable pairs.
        problems: What could not be used and why, in the order of the file.
        left_out: Number of annotations with a predicate that is none of the ten relations, by predicate.
        false: Number of annotations that say which relation does *not* hold.
        sha256: Hash of the annotations, of all their files.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[tuple[str, str], ...]
    left_out: Mapping[str, int]
    false: int
    sha256: str

    @cached_property
    def boxes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes of the subjects and of the objects, `(n, 4)` each."""
        subject, object_ = (np.array([getattr(pair, side) for pair in self.pairs]) for side in ("subject", "object"))
        return subject, object_

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Index of the relation of each pair, `(n,)`."""
        return np.array([RELATIONS.index(pair.relation) for pair in self.pairs], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An annotation as its layout has it; the values are not checked yet."""

    where: str
    image: str
    subject: Any
    object: Any
    predicate: Any
    part: Any = ""


def read_annotations(path: Path, images: Path | None = None) -> Annotations:
    """Read and check annotations of any of the three layouts.

    Args:
        path: JSON file, or folder with a file of `FILES`. VRD's folder also has `predicates.json` and
            `annotations_test.json`, whose pictures are the test part.
        images: Folder of the pictures; by default that of the annotations. Their names are looked up there and in the
            subfolders of both data sets.

    Raises:
        ManifestError: If there is no such file, it has none of the layouts, or no pair is usable.
    """
    layout, file = _find(path)
    digest, entries, false = hashlib.sha256(), list[_Entry](), 0
    match layout:
        case "plain":
            entries = list(_plain(_load(file, digest), file))
        case "spatialsense":
            everything = list(_spatialsense(_load(file, digest), file))
            entries = [entry for entry, holds in everything if holds]
            false = len(everything) - len(entries)
        case "vrd":
            entries = list(_vrd(file.parent, digest))
    return _checked(entries, file, images or file.parent, false, digest.hexdigest())


def _find(path: Path) -> tuple[Layout, Path]:
    remedy = f"Give a folder with one of {', '.join(FILES.values())}, or such a file"
    if path.is_dir():
        found = next(((layout, path / name) for layout, name in FILES.items() if (path / name).is_file()), None)
    else:
        found = next(((layout, path) for layout, name in FILES.items() if name == path.name and path.is_file()), None)
    if found is None:
        raise ManifestError(str(path), "holds no annotations of relations", remedy)
    return found


def _load(file: Path, digest: Any) -> Any:  # noqa: ANN401 - a hash of hashlib, and any JSON
    remedy = "Restore the file of the data set"
    try:
        data = file.read_bytes()
        digest.update(data)
        return json.loads(data)
    except FileNotFoundError as exc:
        raise ManifestError(str(file), "is missing", remedy) from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise ManifestError(str(file), f"is not readable JSON ({exc})", remedy) from exc


def _plain(content: Any, file: Path) -> Iterator[_Entry]:  # noqa: ANN401 - any JSON
    """`[{"image": …, "subject": [x0, y0, x1, y1], "object": […], "relation": …, "split": …}, …]`."""
    for number, entry in enumerate(_dicts(content, file)):
        where = f"{file.name}, entry {number + 1}"
        subject, object_, relation = (entry.get(name) for name in ("subject", "object", "relation"))
        yield _Entry(where, str(entry.get("image", "")), subject, object_, relation, entry.get("split", ""))


def _spatialsense(content: Any, file: Path) -> Iterator[tuple[_Entry, bool]]:  # noqa: ANN401 - any JSON
    """Images with `url`, `split` and `annotations`; a box is `[y0, y1, x0, x1]`, and `label` tells what holds."""
    for number, image in enumerate(_dicts(content, file)):
        name = str(image.get("url", "")).rpartition("/")[2]
        for of_image, entry in enumerate(_dicts(image.get("annotations", []), file)):
            subject, object_ = (_rows_first(entry.get(side)) for side in ("subject", "object"))
            where = f"{file.name}, image {number + 1}, annotation {of_image + 1}"
            found = _Entry(where, name, subject, object_, entry.get("predicate"), image.get("split", ""))
            yield found, entry.get("label", True) is not False


def _vrd(folder: Path, digest: Any) -> Iterator[_Entry]:  # noqa: ANN401 - a hash of hashlib
    """Pairs by the name of the picture; a box is `[ymin, ymax, xmin, xmax]`, a predicate an index."""
    predicates = _of_type(_load(folder / "predicates.json", digest), list, folder / "predicates.json")
    for part in ("train", "test"):
        file = folder / f"annotations_{part}.json"
        if part == "test" and not file.exists():
            return
        for name, pairs in _of_type(_load(file, digest), dict, file).items():
            for number, entry in enumerate(_dicts(pairs, file)):
                index = entry.get("predicate")
                known = isinstance(index, int) and 0 <= index < len(predicates)
                predicate = predicates[index] if known else f"number {index}"
                subject, object_ = (_rows_first(entry.get(side)) for side in ("subject", "object"))
                where = f"{file.name}, {shown_name(name)}, pair {number + 1}"
                yield _Entry(where, name, subject, object_, predicate, part)


def _of_type(content: Any, kind: type, file: Path) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(content, kind):
        remedy = "Give the file as its data set has it; the README shows the three layouts"
        reason = f"has {type(content).__name__} where a {kind.__name__} is expected"
        raise ManifestError(str(file), reason, remedy)
    return content


def _dicts(content: Any, file: Path) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """The entries of a list; what is no dict is an entry without values, which is then listed as unusable."""
    return (entry if isinstance(entry, dict) else {} for entry in _of_type(content, list, file))


def _rows_first(side: Any) -> Any:  # noqa: ANN401 - any JSON
    """The box of a subject or object, from `[y0, y1, x0, x1]` to `[x0, y0, x1, y1]`."""
    box = side.get("bbox") if isinstance(side, dict) else None
    return [box[i] for i in (2, 0, 3, 1)] if isinstance(box, list) and len(box) == 4 else box


def _checked(entries: list[_Entry], file: Path, images: Path, false: int, sha256: str) -> Annotations:
    pairs, problems, left_out = [], [], Counter[str]()
    pictures: dict[str, tuple[Path, int, int] | str] = {}
    for entry in entries:
        predicate = entry.predicate if isinstance(entry.predicate, str) else ""
        predicate = " ".join(predicate.lower().replace("_", " ").split())
        if predicate and predicate not in _RELATION_OF:
            left_out[shown_name(predicate)] += 1
            continue
        if entry.image not in pictures:
            pictures[entry.image] = _picture(images, entry.image)
        found = _pair(entry, predicate, pictures[entry.image])
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            problems.append((entry.where, found))
    if not pairs:
        reasons = Counter(reason for _, reason in problems)
        reasons += Counter({f"{name!r} is none of the ten relations": n for name, n in left_out.items()})
        listed = "; ".join(f"{reason} ({n} times)" for reason, n in reasons.most_common(3)) or "it is empty"
        remedy = "Check the file and --images; the README shows the three layouts"
        raise ManifestError(str(file), f"has no usable pair of {len(entries)}: {listed}", remedy)
    return Annotations(tuple(pairs), tuple(problems), dict(left_out.most_common()), false, sha256)


def _pair(entry: _Entry, predicate: str, picture: tuple[Path, int, int] | str) -> Pair | str:
    """The pair of an entry, or what is wrong with it."""
    if isinstance(picture, str):
        return picture
    if not predicate:
        return "the relation is empty"
    path, width, height = picture
    boxes = []
    for side, value in (("subject", entry.subject), ("object", entry.object)):
        box = check_box(value, width, height)
        if isinstance(box, str):
            return f"the box of the {side} {box}"
        boxes.append(box)
    part = _PARTS.get(str(entry.part))
    if part is None:
        return "the split is none of train, valid, val and test"
    return Pair(path, width, height, boxes[0], boxes[1], _RELATION_OF[predicate], part)


def check_box(value: Any, width: int, height: int) -> Box | str:  # noqa: ANN401 - any JSON
    """Check a box `[x0, y0, x1, y1]` against the size of its picture; return it, or what is wrong with it."""
    numbers = isinstance(value, list | tuple) and len(value) == 4
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        return "is not four numbers"
    x0, y0, x1, y1 = value
    if not (x0 < x1 and y0 < y1):  # also where one is NaN
        return "is empty: right and bottom must be greater than left and top"
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        return "is outside of the picture"
    return float(x0), float(y0), float(x1), float(y1)


def _picture(images: Path, name: str) -> tuple[Path, int, int] | str:
    """Path, width and height of a picture, from its header alone; or what is wrong with it."""
    if not name:
        return "no picture is named"
    try:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return f"its picture {shown_name(name)} is outside of the folder"
        path = next((path for folder in _IMAGE_FOLDERS if (path := images / folder / name).is_file()), None)
        if path is None:
            return f"its picture {shown_name(name)} is missing"
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _SIDEWAYS
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
        return f"its picture {shown_name(name)} cannot be read ({type(exc).__name__})"
    return (path, height, width) if turned else (path, width, height)
