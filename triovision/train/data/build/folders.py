"""Manifest of a folder of photos, with a report of excluded photos and problems."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from triovision.errors import ManifestError
from triovision.geo.reverse import country_at
from triovision.train.data.build.duplicates import HASH_BITS, MAX_DISTANCE, duplicate_groups
from triovision.train.data.build.labels import Label, label_of_folders, read_labels
from triovision.train.data.build.photo_files import PhotoFile, Problem, find_photos, read_photo_files

DuplicatePolicy = Literal["keep", "drop-exact", "drop-all"]
Outcomes = Iterable[PhotoFile | Problem]

COLUMNS: Final = ("file", "country", "lat", "lon", "place", "source", "split")
LEFT_OUT: Final = "left out"
KEPT: Final = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherOptions:
    """Options of building a manifest.

    Attributes:
        table: CSV or Parquet file with the country and/or position of the photos; None for all photos of the folder.
        source: Value of the column `source`; None for the name of the folder.
        duplicates: Duplicates to keep: all, all but exact ones, or none.
        max_distance: Largest number of differing bits of the hashes of near-duplicates.
        workers: Processes that read photos; 0 reads in this one.
    """

    table: Path | None = None
    source: str | None = None
    duplicates: DuplicatePolicy = "drop-exact"
    max_distance: int = MAX_DISTANCE
    workers: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    photo: PhotoFile
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gathering:
    """A manifest and its report.

    Attributes:
        photos: Table of the manifest, sorted by `file`: the usual columns, those of the table of labels, and `width`,
            `height` (pixels), `taken_at` (ISO 8601), `phash` (16 hexadecimal digits) and `duplicate_of`, the first
            photo of the group of near-duplicates, empty for that photo and for photos without near-duplicates.
        report: Columns `file, kind, reason, duplicate_of`: excluded photos and problems.
    """

    photos: pd.DataFrame
    report: pd.DataFrame


def gather(
    folder: Path,
    root: Path,
    options: GatherOptions,
    progress: Callable[[Outcomes, int], Outcomes] = lambda outcomes, _: outcomes,
) -> Gathering:
    """Read all photos below a folder and look up where each was taken.

    The country is that of the table, else that of a folder named after a country, else that of the position. The
    position is that of the table, else that of EXIF. The place is that of the table, else the folder below that of
    the country, else a cell of 0.1 degrees around the position, else the folder of the photo.

    Args:
        folder: Folder of the photos.
        root: Folder of the manifest, to which `file` is relative: `folder` or one above it.
        options: See `GatherOptions`.
        progress: Wraps the outcomes, whose number is its second argument, with a progress bar.

    Raises:
        ManifestError: If `folder` is not below `root`, or the table of labels is not valid.
    """
    below = _below(folder, root)
    labels, problems = read_labels(options.table, folder) if options.table else (None, [])
    files, skipped = find_photos(folder)
    problems += skipped
    if labels is not None:
        problems += _not_matched(files, labels)
        files = [file for file in files if file in labels]
    source = options.source or Path(os.path.abspath(folder)).name
    rows = []
    for outcome in progress(read_photo_files(folder, files, options.workers), len(files)):
        if isinstance(outcome, Problem):
            problems.append(outcome)
            continue
        row, odd = _row(outcome, labels[outcome.file] if labels else Label(), source)
        rows.append(row)
        problems += odd
    kept, duplicates = _without_duplicates(rows, options)
    return _gathering(kept, problems + duplicates, below)


def _below(folder: Path, root: Path) -> str:
    """What leads from `root` to `folder`, empty or ending in a slash."""
    try:
        below = Path(os.path.abspath(folder)).relative_to(os.path.abspath(root)).as_posix()
    except ValueError as exc:
        raise ManifestError(
            str(root),
            f"does not hold the photos, which lie in {folder}",
            "Write the manifest into the folder of the photos or one above it",
        ) from exc
    return "" if below == "." else f"{below}/"


def _not_matched(files: list[str], labels: dict[str, Label]) -> list[Problem]:
    unlisted = sorted(set(files) - labels.keys())
    missing = sorted(labels.keys() - set(files))
    return [Problem(file, "not in the table", LEFT_OUT) for file in unlisted] + [
        Problem(file, "missing", "listed in the table, but no such photo was found") for file in missing
    ]


def _row(photo: PhotoFile, listed: Label, source: str) -> tuple[_Row, list[Problem]]:
    by_folders = label_of_folders(photo.file)
    position = listed.position or photo.position
    stated = listed.country or by_folders.country
    located = country_at(*position) if position else None
    problems = []
    if position is None:
        problems.append(Problem(photo.file, "no position", "neither the table nor EXIF has one"))
    elif stated and located and stated != located:
        who = "the table" if listed.country else "the folder"
        where = f"the position {position[0]:.4f}, {position[1]:.4f} lies in {located}"
        problems.append(Problem(photo.file, "country conflict", f"{who} has {stated}, but {where}: {stated} is used"))
    if not (stated or located):
        reason = "its position is on the high seas" if position else "no folder of its path is named by a country"
        problems.append(Problem(photo.file, "no country", f"{reason}: {LEFT_OUT}"))
    lat_deg, lon_deg = position or (math.nan, math.nan)
    folder = PurePosixPath(photo.file).parent
    columns = {
        "file": photo.file,
        "country": stated or located or "",
        "lat": lat_deg,
        "lon": lon_deg,
        "place": listed.place or by_folders.place or (_cell(*position) if position else str(folder)),
        "source": source,
        "split": "",
        "width": str(photo.width),
        "height": str(photo.height),
        "taken_at": photo.taken_at,
        **listed.others,
        "phash": f"{photo.phash:016x}",
        "duplicate_of": "",
    }
    return _Row(photo, columns), problems


def _cell(lat_deg: float, lon_deg: float) -> str:
    """Name of the cell of 0.1 by 0.1 degrees by its south-western corner; 180 and -180 are the same meridian."""
    south = min(math.floor(lat_deg * 10), 899)
    west = (math.floor(lon_deg * 10) + 1800) % 3600 - 1800
    return f"cell_{south / 10:.1f}_{west / 10:.1f}"


def _without_duplicates(rows: list[_Row], options: GatherOptions) -> tuple[list[_Row], list[Problem]]:
    """Rows without dropped duplicates, sorted by file, with near-duplicates marked."""
    exact = _exact_duplicates(rows)
    keep_exact, drop_near = options.duplicates == "keep", options.duplicates == "drop-all"
    problems = [
        _duplicate(row, first, "exact duplicate", f"the same bytes: {KEPT if keep_exact else LEFT_OUT}")
        for row, first in exact
    ]
    dropped = set() if keep_exact else {row.photo.file for row, _ in exact}
    kept = [row for row in rows if row.columns["country"] and row.photo.file not in dropped]
    kept.sort(key=lambda row: row.photo.file)
    for row, first in _near_duplicates(kept, options.max_distance):
        row.columns["duplicate_of"] = first.photo.file
        if row.photo.sha256 != first.photo.sha256:
            bits = (row.photo.phash ^ first.photo.phash).bit_count()
            reason = f"{bits} of {HASH_BITS} bits of the hashes differ: {LEFT_OUT if drop_near else KEPT}"
            problems.append(_duplicate(row, first, "near duplicate", reason))
    return [row for row in kept if not (drop_near and row.columns["duplicate_of"])], problems


def _duplicate(row: _Row, first: _Row, kind: str, reason: str) -> Problem:
    country, other = row.columns["country"], first.columns["country"]
    if country and other and country != other:
        reason += f"; its country is {country}, that of the duplicate {other}"
    return Problem(row.photo.file, kind, reason, first.photo.file)


def _exact_duplicates(rows: list[_Row]) -> list[tuple[_Row, _Row]]:
    """Pairs of a row and the preferred row with the same bytes: with a country, a position, and first by name."""
    groups = defaultdict(list)
    for row in sorted(
        rows, key=lambda row: (not row.columns["country"], math.isnan(row.columns["lat"]), row.photo.file)
    ):
        groups[row.photo.sha256].append(row)
    return [(row, first) for first, *others in groups.values() for row in others]


def _near_duplicates(rows: list[_Row], max_distance: int) -> list[tuple[_Row, _Row]]:
    """Pairs of a row and the first row of its group of near-duplicates."""
    groups = duplicate_groups(np.array([row.photo.phash for row in rows], np.uint64), max_distance)
    return [(row, rows[first]) for i, (row, first) in enumerate(zip(rows, groups, strict=True)) if first != i]


def _gathering(rows: list[_Row], problems: list[Problem], below: str) -> Gathering:
    photos = pd.DataFrame([row.columns for row in rows], columns=None if rows else list(COLUMNS))
    report = pd.DataFrame(sorted(problems), columns=list(Problem._fields))
    for table, column in ((photos, "file"), (photos, "duplicate_of"), (report, "file"), (report, "duplicate_of")):
        if len(table):
            table[column] = [below + file if file else "" for file in table[column]]
    return Gathering(photos, report)
