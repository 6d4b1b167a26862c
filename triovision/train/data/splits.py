"""Splits of a manifest into training, validation and test photos or folds, and the photos of a run."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from triovision.errors import ManifestError, RecipeError
from triovision.train.data.dataset import choose_labels
from triovision.train.data.manifest import Manifest
from triovision.train.recipes.sections import COUNTRY, CountryDataSection

By = Literal["place", "source", "random"]

#: Column of a manifest whose value `test` keeps a photo out of all training, tuning, validation and calibration.
TEST_COLUMN = "split_new_sources"

#: Largest number of folds that fractions are approximated with, unless a fraction needs more.
_MAX_FOLDS = 10


@dataclass(frozen=True, slots=True)
class Parts:
    """The part of each photo, and the countries (or other labels) that could not be divided.

    Attributes:
        part: `train`, `val` or `test`, or a fold `0` to `K - 1`, shape `(n,)`. Among folds, `train` marks photos that
            are training photos of every fold.
        kept_in_train: Countries whose photos were moved to training because they would have had none there.
        without_training: Countries without training photos; only by source, where moving photos would undo the split.
    """

    part: NDArray[np.str_]
    kept_in_train: tuple[str, ...]
    without_training: tuple[str, ...]


def without_test(manifest: Manifest) -> Manifest:
    """Leave out the photos marked `test` in `TEST_COLUMN`; a manifest without that column stays as it is."""
    return manifest.where(pd.Series(~rows_marked_test(manifest.table)))


def rows_marked_test(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Mask of the photos marked `test` in `TEST_COLUMN`, shape `(n,)`."""
    if TEST_COLUMN not in table:
        return np.zeros(len(table), dtype=np.bool_)
    return np.asarray(table[TEST_COLUMN] == "test", dtype=np.bool_)


def whole_groups(table: pd.DataFrame, by: By, duplicates: NDArray[np.intp]) -> NDArray[np.intp]:
    """Group of each photo; the photos of a group are kept together. Shape `(n,)`.

    Args:
        table: Table of a manifest; a photo without a place or source is a group of its own.
        by: `"place"` and `"source"` group the photos of each, `"random"` only near-duplicates.
        duplicates: Rows of near-duplicates `(n_pairs, 2)`, whose groups are merged.
    """
    rows = np.arange(len(table))
    first = rows
    if by != "random":
        # Connect each photo to the first one of its group.
        named = table[by].where(table[by] != "", pd.Series([f"\0{row}" for row in rows], index=table.index))
        codes, _ = pd.factorize(named)
        first = np.unique(codes, return_index=True)[1][codes]
    ends = np.vstack([np.column_stack([rows, first]), duplicates.reshape(-1, 2)])
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(len(rows), len(rows)))
    groups: NDArray[np.intp] = connected_components(graph, directed=False)[1].astype(np.intp)
    return groups


def divide(
    table: pd.DataFrame,
    groups: NDArray[np.intp],
    by: By,
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    label_column: str = COUNTRY,
) -> Parts:
    """Divide into training, validation and test photos; groups are not divided, so fractions are met to about 1 %.

    Args:
        table: Table of a manifest.
        groups: See `whole_groups`.
        by: Kind of the groups.
        val_fraction: Fraction of validation photos.
        test_fraction: Fraction of test photos, possibly 0.
        seed: Seed of the division.
        label_column: Column whose values are stratified.

    Raises:
        ManifestError: If there are too few photos.
    """
    n_folds, n_val, n_test = _fractions(val_fraction, test_fraction)
    labels = table[label_column].to_numpy()
    fold = _folds(labels, groups, by, n_folds, seed)
    order = np.random.default_rng(seed).permutation(n_folds)
    part = np.full(len(table), "train", dtype="<U5")
    part[np.isin(fold, order[:n_val])] = "val"
    part[np.isin(fold, order[n_val : n_val + n_test])] = "test"
    return _keep_labels(labels, groups, by, part)


def divide_into_folds(
    table: pd.DataFrame, groups: NDArray[np.intp], by: By, *, folds: int, seed: int, label_column: str = COUNTRY
) -> Parts:
    """Divide into folds `0` to `folds - 1` for cross-validation.

    Raises:
        ManifestError: If there are too few photos or groups.
    """
    labels = table[label_column].to_numpy()
    part = _folds(labels, groups, by, folds, seed).astype(str)
    width = max(5, part.dtype.itemsize // 4)  # room for `train`
    return _keep_labels(labels, groups, by, part.astype(f"<U{width}"))


def part_table(table: pd.DataFrame, part: NDArray[np.str_], label_column: str = COUNTRY) -> pd.DataFrame:
    """Photos, fraction, countries (or other labels) and, if present, places and sources of each part; `train` first."""
    rows = []
    counted = "countries" if label_column == COUNTRY else "labels"
    for name in sorted(set(part.tolist()), key=lambda name: (name != "train", name != "val", len(name), name)):
        chosen = table[part == name]
        groups = {column: chosen[column].nunique() for column in ("place", "source") if column in table}
        photos = len(chosen)
        rows.append(
            {"part": name, "photos": photos, "fraction": photos / len(table), counted: chosen[label_column].nunique()}
            | {f"{column}s": n for column, n in groups.items()}
        )
    return pd.DataFrame(rows)


def country_part_table(table: pd.DataFrame, part: NDArray[np.str_], label_column: str = COUNTRY) -> pd.DataFrame:
    """Photos by country (or other label) and part: one row per label, one column per part."""
    counts = pd.crosstab(table[label_column], pd.Series(part, index=table.index, name="part"))
    first = [name for name in ("train", "val", "test") if name in counts]
    return counts[[*first, *(name for name in counts if name not in first)]]


def _fractions(val_fraction: float, test_fraction: float) -> tuple[int, int, int]:
    """Number of folds whose multiples are closest to both fractions, and the number of folds of each part."""
    fractions = [fraction for fraction in (val_fraction, test_fraction) if fraction > 0]
    most = max(_MAX_FOLDS, *(math.ceil(1 / fraction) for fraction in fractions))

    def error(n: int) -> float:
        return sum(abs(max(1, round(fraction * n)) / n - fraction) for fraction in fractions)

    n_folds = min(range(2, most + 1), key=lambda n: (round(error(n), 9), n))
    return (
        n_folds,
        max(1, round(val_fraction * n_folds)),
        max(1, round(test_fraction * n_folds)) if test_fraction else 0,
    )


def _folds(labels: NDArray[np.str_], groups: NDArray[np.intp], by: By, n_folds: int, seed: int) -> NDArray[np.intp]:
    fold = np.empty(len(labels), dtype=np.intp)
    try:
        with warnings.catch_warnings():
            # Labels with fewer photos than folds are expected, see `_keep_labels`.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            for number, rows in enumerate(_held_out(labels, groups, by, n_folds, seed)):
                fold[rows] = number
    except ValueError as exc:
        remedy = "Give fewer folds or larger fractions, or add photos"
        raise ManifestError("The manifest", f"cannot be divided into {n_folds} folds ({exc})", remedy) from exc
    return fold


def _held_out(
    labels: NDArray[np.str_], groups: NDArray[np.intp], by: By, n_folds: int, seed: int
) -> Iterator[NDArray[np.intp]]:
    if by == "random":
        # Nearly every group is one photo; dividing groups instead of photos is much faster.
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        for _, chosen in splitter.split(first, labels[first]):
            yield np.flatnonzero(np.isin(group, chosen))
    else:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        for _, rows in splitter.split(labels, labels, groups):
            yield np.asarray(rows)


def _keep_labels(labels: NDArray[np.str_], groups: NDArray[np.intp], by: By, part: NDArray[np.str_]) -> Parts:
    """Move groups to training until every label has training photos, whichever part is held out."""
    part = part.copy()
    moved = []
    for label in np.unique(labels):
        of_label = labels == label
        parts = set(part[of_label].tolist())
        folds = parts - {"train", "val", "test"}
        # A label in two folds has training photos whichever of them is held out.
        if "train" in parts or len(folds) > 1:
            continue
        moved.append(str(label))
        if by != "source":
            source = "val" if "val" in parts else parts.pop()
            part[np.isin(groups, groups[of_label & (part == source)])] = "train"
    return Parts(part, (), tuple(moved)) if by == "source" else Parts(part, tuple(moved), ())


@dataclass(frozen=True, slots=True)
class Splits:
    """The photos of one run.

    Attributes:
        training: Training photos.
        validation: Held-out photos by split.
        labels: Countries, or other labels, with enough training photos, in alphabetical order.
        held_out_countries: Photos of half of the countries that are no label, held out to evaluate abstention.
    """

    training: Manifest
    validation: dict[str, Manifest]
    labels: tuple[str, ...]
    held_out_countries: Manifest


def split(manifest: Manifest, data: CountryDataSection) -> Splits:
    """Select the photos of a run: training photos are `train` in every column, others belong to the first `val` column.

    A photo of a held-out place is therefore never among the new photos of known places. The held-out countries
    depend only on the country code, so that they are the same in every run. Photos marked `test` are in no part, see
    `without_test`.

    Raises:
        RecipeError: If the manifest was read with another label column than that of the recipe, or without one of its
            splits.
    """
    if manifest.label_column != data.label_column:
        reason = f"is {data.label_column!r}, but the manifest was read with {manifest.label_column!r}"
        raise RecipeError("`data.label_column`", reason, "Give the recipe's column to `read_manifest`")
    if missing := [column for column in data.validation_splits if column not in manifest.table]:
        reason = f"names {', '.join(missing)}, which the manifest was not read with"
        raise RecipeError("`data.validation_splits`", reason, "Name columns that hold splits")
    manifest = without_test(manifest)
    in_training, held_out = marked_rows(manifest, data.validation_splits)
    validation = {name: manifest.where(rows) for name, rows in held_out.items()}
    labels = choose_labels(manifest.where(in_training), data.min_photos)
    excluded = ~manifest.labels.isin(labels) & manifest.labels.map(lambda label: zlib.crc32(label.encode()) % 2 == 0)
    training = manifest.where(in_training & ~excluded.to_numpy())
    return Splits(training, validation, labels, manifest.where(excluded.to_numpy()))


def marked_rows(manifest: Manifest, columns: Sequence[str]) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.bool_]]]:
    """Masks of the training photos, and of the held-out photos by split; photos marked `test` are in none.

    Args:
        manifest: All photos.
        columns: Columns of the splits, in order; see `split`.
    """
    free = training = ~rows_marked_test(manifest.table)
    validation = {}
    for column in columns:
        marks = manifest.table[column]
        held_out = free & (marks == "val").to_numpy()
        validation[column.removeprefix("split_")] = held_out
        free, training = free & ~held_out, training & (marks == "train").to_numpy()
    return training, validation
