"""Splits of a manifest: how they are made, and the photos of a run that their columns select."""

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

from triovision.errors import ManifestError
from triovision.train.data.dataset import choose_labels
from triovision.train.data.manifest import Manifest
from triovision.train.recipes.sections import CountryDataSection

By = Literal["place", "source", "random"]

#: Finest division of the photos: with more folds, a country of few places would fall into too few of them.
_MAX_FOLDS = 10


@dataclass(frozen=True, slots=True)
class Parts:
    """The part of each photo, and the countries that could not be divided.

    Attributes:
        part: `train`, `val`, `test` or a fold's number `0` to `K - 1`, one a photo. In a division into folds `train`
            stands for a photo that is trained on with every fold.
        kept_in_train: Countries whose photos were put back into training, because none would have been left there.
        unlearnt: Countries without any training photo; only by source, where putting them back would undo the split.
    """

    part: NDArray[np.str_]
    kept_in_train: tuple[str, ...]
    unlearnt: tuple[str, ...]


def whole_groups(table: pd.DataFrame, by: By, twins: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number of the group that each photo may not be parted from.

    Args:
        table: A manifest's table; an empty place or source is unknown, and such a photo a group of its own.
        by: `"place"` and `"source"` keep the photos of one together, `"random"` only twins.
        twins: Rows of photos that look alike `(n_pairs, 2)`; their groups become one.
    """
    rows = np.arange(len(table))
    first = rows
    if by != "random":
        # Each photo is tied to the first one of its group.
        named = table[by].where(table[by] != "", pd.Series([f"\0{row}" for row in rows], index=table.index))
        codes, _ = pd.factorize(named)
        first = np.unique(codes, return_index=True)[1][codes]
    ends = np.vstack([np.column_stack([rows, first]), twins.reshape(-1, 2)])
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(len(rows), len(rows)))
    groups: NDArray[np.intp] = connected_components(graph, directed=False)[1].astype(np.intp)
    return groups


def divide(
    table: pd.DataFrame, groups: NDArray[np.intp], by: By, *, val_share: float, test_share: float, seed: int
) -> Parts:
    """Training, validation and test photos. Shares are met to about a hundredth: groups are whole.

    Args:
        table: A manifest's table.
        groups: See `whole_groups`.
        by: What the groups are.
        val_share: RankInfo of the photos to validate on.
        test_share: RankInfo of the photos to test on; may be 0.
        seed: Seed of the choice.

    Raises:
        ManifestError: If there are too few photos.
    """
    n_folds, n_val, n_test = _fractions(val_share, test_share)
    fold = _folds(table, groups, by, n_folds, seed)
    order = np.random.default_rng(seed).permutation(n_folds)
    part = np.full(len(table), "train", dtype="<U5")
    part[np.isin(fold, order[:n_val])] = "val"
    part[np.isin(fold, order[n_val : n_val + n_test])] = "test"
    return _keep_countries(table["country"].to_numpy(), groups, by, part)


def divide_into_folds(table: pd.DataFrame, groups: NDArray[np.intp], by: By, *, folds: int, seed: int) -> Parts:
    """Fold numbers `0` to `folds - 1` for cross-validation.

    Raises:
        ManifestError: If there are too few photos or groups.
    """
    part = _folds(table, groups, by, folds, seed).astype(str)
    width = max(5, part.dtype.itemsize // 4)  # room for the word `train`
    return _keep_countries(table["country"].to_numpy(), groups, by, part.astype(f"<U{width}"))


def part_table(table: pd.DataFrame, part: NDArray[np.str_]) -> pd.DataFrame:
    """Photos, share, countries and, where the table has them, places and sources of each part; `train` first."""
    rows = []
    for name in sorted(set(part.tolist()), key=lambda name: (name != "train", name != "val", len(name), name)):
        chosen = table[part == name]
        groups = {column: chosen[column].nunique() for column in ("place", "source") if column in table}
        photos = len(chosen)
        rows.append(
            {"part": name, "photos": photos, "share": photos / len(table), "countries": chosen["country"].nunique()}
            | {f"{column}s": n for column, n in groups.items()}
        )
    return pd.DataFrame(rows)


def country_part_table(table: pd.DataFrame, part: NDArray[np.str_]) -> pd.DataFrame:
    """Photos of each country by part: one row a country, one column a part."""
    counts = pd.crosstab(table["country"], pd.Series(part, index=table.index, name="part"))
    first = [name for name in ("train", "val", "test") if name in counts]
    return counts[[*first, *(name for name in counts if name not in first)]]


def _fractions(val_share: float, test_share: float) -> tuple[int, int, int]:
    """Number of folds whose multiples come closest to both shares, and how many of them each part takes."""
    wanted = [share for share in (val_share, test_share) if share > 0]
    most = max(_MAX_FOLDS, *(math.ceil(1 / share) for share in wanted))

    def error(n: int) -> float:
        return sum(abs(max(1, round(share * n)) / n - share) for share in wanted)

    n_folds = min(range(2, most + 1), key=lambda n: (round(error(n), 9), n))
    return n_folds, max(1, round(val_share * n_folds)), max(1, round(test_share * n_folds)) if test_share else 0


def _folds(table: pd.DataFrame, groups: NDArray[np.intp], by: By, n_folds: int, seed: int) -> NDArray[np.intp]:
    countries = table["country"].to_numpy()
    fold = np.empty(len(table), dtype=np.intp)
    try:
        with warnings.catch_warnings():
            # Countries with fewer photos than folds are expected: `_keep_countries` sees to them.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            for number, rows in enumerate(_held_out(countries, groups, by, n_folds, seed)):
                fold[rows] = number
    except ValueError as exc:
        remedy = "Ask for fewer folds or larger shares, or add photos"
        raise ManifestError("The manifest", f"cannot be divided into {n_folds} folds ({exc})", remedy) from exc
    return fold


def _held_out(
    countries: NDArray[np.str_], groups: NDArray[np.intp], by: By, n_folds: int, seed: int
) -> Iterator[NDArray[np.intp]]:
    if by == "random":
        # Nearly every group is one photo: dividing the groups is as good, and a thousand times faster.
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        for _, chosen in splitter.split(first, countries[first]):
            yield np.flatnonzero(np.isin(group, chosen))
    else:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        for _, rows in splitter.split(countries, countries, groups):
            yield np.asarray(rows)


def _keep_countries(countries: NDArray[np.str_], groups: NDArray[np.intp], by: By, part: NDArray[np.str_]) -> Parts:
    """Put whole groups back into training until every country has photos there, whichever part is held out."""
    part = part.copy()
    kept = []
    for country in np.unique(countries):
        of_country = countries == country
        found = set(part[of_country].tolist())
        folds = found - {"train", "val", "test"}
        # A country in two folds is trained on with each of them held out.
        if "train" in found or len(folds) > 1:
            continue
        kept.append(str(country))
        if by != "source":
            back = "val" if "val" in found else found.pop()
            part[np.isin(groups, groups[of_country & (part == back)])] = "train"
    return Parts(part, (), tuple(kept)) if by == "source" else Parts(part, tuple(kept), ())


@dataclass(frozen=True, slots=True)
class Splits:
    """The photos of one run.

    Attributes:
        training: Photos to learn from.
        validation: Held-out photos by the name of their split.
        labels: Countries with enough training photos to be learnt, in alphabetical order.
        elsewhere: Photos of half of the countries without a label, kept from training to measure abstention.
    """

    training: Manifest
    validation: dict[str, Manifest]
    labels: tuple[str, ...]
    elsewhere: Manifest


def split(manifest: Manifest, data: CountryDataSection) -> Splits:
    """Training photos are `train` in every column; a validation photo belongs to the first column that says `val`.

    A photo of a held-out place is therefore never counted among the new photos of known places. Which countries
    without a label are kept from training depends on their code alone, so that it is the same in every run.
    """
    learnt, held_out = marked_rows(manifest, data.validation_splits)
    validation = {name: manifest.where(rows) for name, rows in held_out.items()}
    labels = choose_labels(manifest.where(learnt), data.min_photos)
    countries = manifest.table["country"]
    elsewhere = ~countries.isin(labels) & countries.map(lambda code: zlib.crc32(code.encode()) % 2 == 0)
    training = manifest.where(learnt & ~elsewhere.to_numpy())
    return Splits(training, validation, labels, manifest.where(elsewhere.to_numpy()))


def marked_rows(manifest: Manifest, columns: Sequence[str]) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.bool_]]]:
    """Which photos are learnt from, and which belong to each validation split, by its name.

    Args:
        manifest: All photos.
        columns: Columns of the splits, in their order; see `split`.
    """
    free = learnt = np.ones(len(manifest), dtype=np.bool_)
    validation = {}
    for column in columns:
        marks = manifest.table[column]
        held_out = free & (marks == "val").to_numpy()
        validation[column.removeprefix("split_")] = held_out
        free, learnt = free & ~held_out, learnt & (marks == "train").to_numpy()
    return learnt, validation
