"""Photos of one class and of the rest: read from folders or a manifest, with a part that is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from triovision.errors import ManifestError
from triovision.photo.names import spreadsheet_safe
from triovision.train.data.build.duplicates import MAX_DISTANCE, duplicate_groups
from triovision.train.data.build.photo_files import PhotoFile, Problem, find_photos, read_photo_files
from triovision.train.data.manifest import Manifest, read_manifest, write_manifest, write_table
from triovision.train.data.splits import By, divide, whole_groups, without_test
from triovision.train.engine.run_folder import write_run_config

#: Columns of the manifest of the study, the label of all photos but those of the class, and the held-out part.
CLASS, SPLIT = "class", "split"
REST, TEST = "rest", "test"
#: List of photos that cannot be read or are of both classes, beside the manifest.
LEFT_OUT: Final = "left_out.csv"
#: Smallest number of photos of the class and of the rest.
MIN_PHOTOS: Final = 10
#: With fewer sources, too few would be left on one side.
_MIN_SOURCES: Final = 5
_TEST_FRACTION: Final = 0.2
_SHOWN_VALUES: Final = 8


def read_photos(path: Path, column: str) -> Manifest:
    """Read a manifest, or a folder with one subfolder per class.

    Photos that a manifest marks as `test` in `split_new_sources` are left out.

    Args:
        path: CSV or Parquet file, or folder.
        column: Column of the manifest that names the class; of a folder, `class` is the name of the subfolder.

    Raises:
        ManifestError: If it cannot be read, has no such column, or the folder has no photo in a subfolder.
    """
    if not path.is_dir():
        return without_test(read_manifest(path, label_column=column))
    files = [file for file in find_photos(path)[0] if "/" in file]
    if not files:
        remedy = "Give a folder with a subfolder of photos for each class, or a manifest"
        raise ManifestError(str(path), "has no photo in a subfolder", remedy)
    if column != CLASS:
        reason = f"is a folder, which has no column {column}"
        raise ManifestError(str(path), reason, f"Name the column {CLASS}, or give a manifest")
    table = pd.DataFrame({"file": files, CLASS: [file.partition("/")[0] for file in files]})
    return Manifest(table, path, hashlib.sha256("\n".join(files).encode()).hexdigest(), CLASS)


def write_binary(
    data: Path, column: str, values: Sequence[str], name: str, out: Path, workers: int = 0, seed: int = 0
) -> Manifest:
    """Write the manifest of a class against the rest; what cannot be read is left out.

    So is a photo that is of both; `left_out.csv` lists them.

    A fifth of the photos is marked `test` in the column `split`: whole sources where the photos name five or more, else
    photos at random, near-duplicates together. As many photos of the rest are drawn as the class has, and from the same
    sources as far as they go: otherwise the source alone would tell the class.

    Args:
        data: Folder with a subfolder for each class, or a manifest (CSV or Parquet).
        column: Column of the manifest that names the class; `class` for folders.
        values: The values of the column that are the class; all others are the rest.
        name: Name of the class.
        out: Manifest to write; one that exists is read instead. Its folder keeps what it was drawn from.
        workers: Processes that read photos; 0 reads in this one.
        seed: Seed of the draw and of the division.

    Returns:
        The manifest, with the label `class`.

    Raises:
        ManifestError: If the photos cannot be read, a value is missing, there are no other photos, or too few.
        RecipeError: If the folder holds a manifest of other photos or of another class.
    """
    root = data if data.is_dir() else data.parent
    photos = read_photos(data, column)
    if name == REST:
        raise ManifestError(name, "is the name of all other photos", "Give the class another one with --name")
    drawn_from = {"photos": photos.sha256, "column": column, "values": sorted(values), "name": name}
    if not out.exists():
        check_values(photos, values, str(data), "Give --positive a value that is there")
        table = photos.table.reset_index(drop=True)
        positive = photos.labels.isin(values).to_numpy()
        table = table.assign(**{CLASS: np.where(positive, name, REST)})
        table, hashes = _readable(table[_kept(table, positive, seed)], root, out.with_name(LEFT_OUT), workers)
        write_manifest(_divided(table, hashes, data, seed), out, CLASS)
    write_run_config(out.parent, drawn_from)
    return read_manifest(out, root, [SPLIT], CLASS)


def check_values(photos: Manifest, values: Sequence[str], data: str, remedy: str) -> None:
    """Check that photos of each value exist.

    Args:
        photos: The photos.
        values: Values of their label.
        data: Name of the data, for the message.
        remedy: What to do, for the message.

    Raises:
        ManifestError: If there is none; it names values that there are.
    """
    labels = photos.labels.value_counts()
    if missing := sorted(set(values) - set(labels.index)):
        more = ", …" if len(labels) > _SHOWN_VALUES else ""
        reason = f"has no photo of {', '.join(missing)}, but of {', '.join(labels.index[:_SHOWN_VALUES])}{more}"
        raise ManifestError(data, reason, remedy)


def part(photos: Manifest, *, test: bool) -> Manifest:
    """Return the held-out photos, or all others."""
    return photos.where((photos.table[SPLIT] == TEST) == test)


def _kept(table: pd.DataFrame, positive: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """Mask of the class and of the drawn photos of the rest, `(n,)`."""
    random, kept = np.random.default_rng(seed), positive.copy()
    if "source" in table:
        for source, wanted in table.loc[positive, "source"].value_counts().items():
            others = np.flatnonzero((table["source"] == source).to_numpy() & ~positive)
            kept[random.permutation(others)[:wanted]] = True
    others = np.flatnonzero(~kept)
    kept[random.permutation(others)[: max(0, 2 * int(positive.sum()) - int(kept.sum()))]] = True
    return kept


def _readable(table: pd.DataFrame, root: Path, left_out: Path, workers: int) -> tuple[pd.DataFrame, NDArray[np.uint64]]:
    """Rows of the photos that can be read and are of one class, with perceptual hashes `(n,)`; others are listed."""
    outcomes = tqdm(read_photo_files(root, table["file"].tolist(), workers), "reading photos", len(table), disable=None)
    read = {one.file: one for one in outcomes}
    photos = {file: one for file, one in read.items() if isinstance(one, PhotoFile)}
    problems = [(one.file, one.reason) for one in read.values() if isinstance(one, Problem)]
    table = table[table["file"].isin(photos.keys())]
    content = table["file"].map({file: one.sha256 for file, one in photos.items()})
    both = table.groupby(content)[CLASS].transform("nunique") > 1
    problems += [(file, "is a photo of the class and of the rest") for file in table.loc[both, "file"]]
    if problems:
        write_table(pd.DataFrame(problems, columns=["file", "reason"]).map(spreadsheet_safe), left_out)
    table = table[~both].reset_index(drop=True)
    return table, np.array([photos[file].phash for file in table["file"]], dtype=np.uint64)


def _divided(table: pd.DataFrame, hashes: NDArray[np.uint64], data: Path, seed: int) -> pd.DataFrame:
    counts = table[CLASS].value_counts()
    if len(counts) < 2:
        remedy = "Add a folder of other photos, or name fewer values with --positive"
        raise ManifestError(str(data), "holds readable photos of one class only", remedy)
    if counts.min() < MIN_PHOTOS:
        reason = f"has {counts.min()} readable photos of {counts.idxmin()}, and {MIN_PHOTOS} are needed"
        raise ManifestError(str(data), reason, "Add photos of this class")
    duplicates = duplicate_groups(hashes, MAX_DISTANCE)
    if "place" not in table:  # then near-duplicates are what cross-validation keeps together
        table = table.assign(place=table["file"].to_numpy()[duplicates])
    known = table.groupby("source")[CLASS].nunique() if "source" in table else pd.Series(dtype=int)
    by: By = "source" if (known == 2).sum() >= _MIN_SOURCES else "random"
    groups = whole_groups(table, by, np.column_stack([np.arange(len(table)), duplicates]))
    parts = divide(table, groups, by, val_fraction=_TEST_FRACTION, test_fraction=0, seed=seed, label_column=CLASS)
    columns = [column for column in ("file", CLASS, "place", "source") if column in table]
    return table[columns].assign(**{SPLIT: np.where(parts.part == "val", TEST, "train")})
