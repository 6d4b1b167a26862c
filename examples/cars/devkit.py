"""Reader of the layout of Stanford Cars: annotations of its devkit turned into a table of photos.

"3D Object Representations for Fine-Grained Categorization" (Krause et al., 2013) distributed it in two layouts. One
has `cars_annos.mat` for all photos; the other a folder `devkit` with `cars_meta.mat` (names of the classes),
`cars_train_annos.mat` and, here or beside it, `cars_test_annos_withlabels.mat`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.io import loadmat, whosmat

from examples.cars.parts import hold_out
from triovision.errors import ManifestError
from triovision.train.data.manifest import Manifest, read_manifest, write_manifest, write_table
from triovision.train.data.splits import TEST_COLUMN
from triovision.train.data.statistics import read_headers
from triovision.train.engine.run_folder import RUN_CONFIG

ALL, META = "cars_annos.mat", "cars_meta.mat"
TRAIN, TEST = "cars_train_annos.mat", "cars_test_annos_withlabels.mat"
#: Columns of the table; `bbox` is "x1 y1 x2 y2" in pixels, counted from 1, both ends inside, as in the devkit.
COLUMNS: Final = ("file", "class", "bbox", "tested")
_BOX: Final = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_MAX_BYTES: Final = 64 * 2**20  # the real files have less than 1 MB
_MAX_ROWS: Final = 1_000_000
_REMEDY: Final = "Download Stanford Cars again, or make a miniature with `python -m examples.cars generate`"


@dataclass(frozen=True, slots=True)
class Cars:
    """Annotated photos of cars.

    Attributes:
        photos: Photos with the columns `COLUMNS`, the label being `class`.
        headers: `width` and `height` of each photo in pixels.
        faulty: File and reason of each photo that was left out.
    """

    photos: Manifest
    headers: pd.DataFrame
    faulty: pd.DataFrame


def read_cars(root: Path, *, skip_faulty: bool, on_photo: Callable[[], object]) -> Cars:
    """Read the annotations below a folder and compare them with the photos.

    Args:
        root: Folder with one of the two layouts.
        skip_faulty: Leave out photos that are unreadable or have an impossible box or class, instead of an error.
        on_photo: Called after each photo, for a progress bar.

    Raises:
        ManifestError: If a file of the devkit is missing or damaged, or a photo is faulty.
    """
    table = _read_annotations(root)
    headers = read_headers(Manifest(table, root, "", "class"), on_photo)
    faults = [_fault(row, size) for row, size in zip(table.itertuples(index=False), headers.itertuples(), strict=True)]
    wrong = np.array([fault is not None for fault in faults])
    faulty = pd.DataFrame({"file": table["file"], "reason": faults})[wrong]
    if len(faulty) and (not skip_faulty or wrong.all()):
        first = faulty.iloc[0]
        others = f", as {len(faulty) - 1} other photos are faulty" if len(faulty) > 1 else ""
        raise ManifestError(str(root / first["file"]), f"{first['reason']}{others}", f"{_REMEDY}; or --skip-faulty")
    photos = Manifest(table[~wrong].reset_index(drop=True), root, "", "class")
    return Cars(photos, headers[~wrong].reset_index(drop=True), faulty)


def write_cars(cars: Cars, out: Path) -> Manifest:
    """Write the manifest with the columns `file`, `class`, `bbox` and `split`, and the list of faulty photos.

    The test list of the devkit stays the part `test`; the training list is divided into `train` and `val`.

    Args:
        cars: See `read_cars`.
        out: Manifest to write; beside it, `faulty.csv`.

    Returns:
        The manifest, its photos in the same order.

    Raises:
        ManifestError: If there are too few photos to divide, runs of other photos are beside the manifest, or the disk
            is full.
    """
    tested = cars.photos.table["tested"].to_numpy(dtype=bool)
    photos = hold_out(cars.photos, tested, np.arange(len(tested)))
    # Commands that would train on all photos, such as `train cv`, leave those out that this column marks.
    marked = photos.table.drop(columns="tested").assign(**{TEST_COLUMN: np.where(tested, "test", "train")})
    kept = out.exists() and any(out.parent.glob(f"*/{RUN_CONFIG}"))
    if kept and out.read_text(encoding="utf-8") != marked.to_csv(index=False, lineterminator="\n"):
        raise ManifestError(str(out), "lists other photos, and runs were trained on them", "Give another --out folder")
    write_manifest(marked, out, "class")
    if len(cars.faulty):
        write_table(cars.faulty, out.with_name("faulty.csv"))
    return read_manifest(out, cars.photos.root, ["split"], "class")


def _read_annotations(root: Path) -> pd.DataFrame:
    whole = next((root / folder / ALL for folder in ("", "devkit") if (root / folder / ALL).exists()), None)
    if whole is not None:
        variables = _load(whole, ("annotations", "class_names"))
        rows = list(_rows(whole, variables["annotations"], "relative_im_path", _names(variables["class_names"])))
    else:
        devkit = root / "devkit" if (root / "devkit").is_dir() else root
        if devkit == root and not (root / META).exists():
            raise ManifestError(str(root), f"holds neither {ALL} nor a folder `devkit`", _REMEDY)
        names = _names(_load(devkit / META, ("class_names",))["class_names"])
        tests = next((folder / TEST for folder in (devkit, root) if (folder / TEST).exists()), devkit / TEST)
        rows = []
        for path, folder, tested in ((devkit / TRAIN, "cars_train", False), (tests, "cars_test", True)):
            annotations = _load(path, ("annotations",))["annotations"]
            rows += [
                {**row, "file": f"{folder}/{row['file']}", "tested": tested}
                for row in _rows(path, annotations, "fname", names)
            ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    outside = [file for file in table["file"] if Path(file).is_absolute() or ".." in Path(file).parts]
    if outside:
        raise ManifestError(str(root), f"its annotations name {outside[0]!r}, which is outside the folder", _REMEDY)
    return table


def _load(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Variables of a MAT file, which is untrusted: scipy runs nothing in it, but damaged ones raise any error."""
    if not path.exists():
        raise ManifestError(str(path), "is missing", _REMEDY)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES // 2**20} MB")
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        if too_long := [name for name in names if np.prod(shapes.get(name, (0,)), dtype=float) > _MAX_ROWS]:
            raise ValueError(f"`{too_long[0]}` has more than {_MAX_ROWS:,} rows")
        variables: dict[str, Any] = loadmat(path, variable_names=names)
    except Exception as exc:  # the reader of MAT files does not document its errors
        raise ManifestError(str(path), f"cannot be read as a MAT file ({exc})", _REMEDY) from exc
    if missing := [name for name in names if not isinstance(variables.get(name), np.ndarray)]:
        raise ManifestError(str(path), f"lacks the variable(s) {', '.join(missing)}", _REMEDY)
    return variables


def _names(class_names: Any) -> list[str]:  # noqa: ANN401 - an array of arrays of text
    return [str(np.ravel(name)[0]) if np.size(name) else "" for name in np.ravel(class_names)]


def _rows(path: Path, annotations: Any, file_field: str, names: list[str]) -> Iterator[dict[str, object]]:  # noqa: ANN401
    """Rows of the table; the class is empty where the devkit has no name for its number."""
    fields = (*_BOX, "class", file_field)
    if missing := sorted(set(fields) - set(annotations.dtype.names or ())):
        raise ManifestError(str(path), f"`annotations` lacks the field(s) {', '.join(missing)}", _REMEDY)
    tests = "test" in annotations.dtype.names
    for number, record in enumerate(np.ravel(annotations), start=1):
        try:
            box = [int(np.ravel(record[field])[0]) for field in _BOX]
            label = int(np.ravel(record["class"])[0])
            file = str(np.ravel(record[file_field])[0])
            tested = bool(np.ravel(record["test"])[0]) if tests else False
        except (IndexError, TypeError, ValueError) as exc:
            raise ManifestError(f"{path}, annotation {number}", f"is incomplete or damaged ({exc})", _REMEDY) from exc
        named = names[label - 1] if 1 <= label <= len(names) else ""
        yield {"file": file, "class": named, "bbox": " ".join(map(str, box)), "tested": tested}


def _fault(row: Any, size: Any) -> str | None:  # noqa: ANN401 - named tuples of pandas
    """Why an annotated photo cannot be used; None if it can."""
    _, label, bbox, _ = row
    x1, y1, x2, y2 = map(int, bbox.split())
    if not label.strip():
        return "has a class that the devkit does not name"
    if np.isnan(size.width):
        return "is missing or cannot be read"
    if not (1 <= x1 <= x2 <= size.width and 1 <= y1 <= y2 <= size.height):
        return f"has a box ({bbox}) outside its {size.width:.0f} x {size.height:.0f} pixels"
    return None
