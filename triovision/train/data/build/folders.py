"""Make a manifest of a folder of photos, and a report of all that was odd about them."""

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
    """How a manifest is made.

    Attributes:
        table: CSV or Parquet file that lists the photos with their country and/or position; all in the folder if None.
        source: Where the photos come from, for the column `source`; the folder's name when None.
        duplicates: Which duplicates stay: all of them, all but exact ones, or none.
        max_distance: Bits by which the perceptual hashes of near-duplicates may differ.
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
    """What was found.

    Attributes:
        photos: The manifest's table, sorted by `file`: the usual columns, those of the table of labels, and `width`,
            `height` (pixels), `taken_at` (ISO 8601), `phash` (16 hexadecimal digits) and `twin`: the first photo of the
            group of near-duplicates that the photo belongs to, empty for that first one and for all others.
        report: Columns `file, kind, reason, twin`: everything that was left out or is odd.
    """

    photos: pd.DataFrame
    report: pd.DataFrame


def gather(
    folder: Path,
    root: Path,
    options: GatherOptions,
    progress: Callable[[Outcomes, int], Outcomes] = lambda outcomes, _: outcomes,
) -> Gathering:
    """Read all photos below a folder and say where each was taken.

    The country is the one that the table states, else the one that a folder of the path is named by, else the one that
    the position lies in. The position is that of the table, else the camera's. The place is that of the table, else the
    folder below the country's, else a cell of 0.1 degrees around the position, else the photo's folder.

    Args:
        folder: Folder of the photos.
        root: Folder that the manifest will lie in and `file` is relative to: `folder` or one above it.
        options: How it is made.
        progress: Wraps the outcomes, whose number is its second argument, to show how far the reading is.

    Raises:
        ManifestError: If `root` does not hold `folder`, or the table of labels cannot be used.
    """
    below = _below(folder, root)
    labels, problems = read_labels(options.table, folder) if options.table else (None, [])
    files, passed_over = find_photos(folder)
    problems += passed_over
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
    kept, found = _without_duplicates(rows, options)
    return _gathering(kept, problems + found, below)


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
    odd = []
    if position is None:
        odd.append(Problem(photo.file, "no position", "neither a table nor the camera gives one"))
    elif stated and located and stated != located:
        who = "the table" if listed.country else "the folder"
        where = f"the position {position[0]:.4f}, {position[1]:.4f} lies in {located}"
        odd.append(Problem(photo.file, "country conflict", f"{who} says {stated}, {where}: {stated} was taken"))
    if not (stated or located):
        reason = "its position is on the high seas" if position else "no folder of its path is named by a country"
        odd.append(Problem(photo.file, "no country", f"{reason}: {LEFT_OUT}"))
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
        "twin": "",
    }
    return _Row(photo, columns), odd


def _cell(lat_deg: float, lon_deg: float) -> str:
    """Name of the cell of 0.1 by 0.1 degrees, by its south-western corner; 180 and -180 are one meridian."""
    south = min(math.floor(lat_deg * 10), 899)
    west = (math.floor(lon_deg * 10) + 1800) % 3600 - 1800
    return f"cell_{south / 10:.1f}_{west / 10:.1f}"


def _without_duplicates(rows: list[_Row], options: GatherOptions) -> tuple[list[_Row], list[Problem]]:
    """Rows that stay, sorted by file, near-duplicates marked."""
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
        row.columns["twin"] = first.photo.file
        if row.photo.sha256 != first.photo.sha256:
            bits = (row.photo.phash ^ first.photo.phash).bit_count()
            reason = f"{bits} of {HASH_BITS} bits of the hashes differ: {LEFT_OUT if drop_near else KEPT}"
            problems.append(_duplicate(row, first, "near duplicate", reason))
    return [row for row in kept if not (drop_near and row.columns["twin"])], problems


def _duplicate(row: _Row, first: _Row, kind: str, reason: str) -> Problem:
    country, other = row.columns["country"], first.columns["country"]
    if country and other and country != other:
        reason += f"; its country is {country}, the twin's {other}"
    return Problem(row.photo.file, kind, reason, first.photo.file)


def _exact_duplicates(rows: list[_Row]) -> list[tuple[_Row, _Row]]:
    """Each row whose bytes stand in a better one, and that one: with a country, a position, and first by name."""
    groups = defaultdict(list)
    for row in sorted(
        rows, key=lambda row: (not row.columns["country"], math.isnan(row.columns["lat"]), row.photo.file)
    ):
        groups[row.photo.sha256].append(row)
    return [(row, first) for first, *others in groups.values() for row in others]


def _near_duplicates(rows: list[_Row], max_distance: int) -> list[tuple[_Row, _Row]]:
    """Each row that has a near-duplicate before it, and the first of its group."""
    groups = duplicate_groups(np.array([row.photo.phash for row in rows], np.uint64), max_distance)
    return [(row, rows[first]) for i, (row, first) in enumerate(zip(rows, groups, strict=True)) if first != i]


def _gathering(rows: list[_Row], problems: list[Problem], below: str) -> Gathering:
    photos = pd.DataFrame([row.columns for row in rows], columns=None if rows else list(COLUMNS))
    report = pd.DataFrame(sorted(problems), columns=list(Problem._fields))
    for table, column in ((photos, "file"), (photos, "twin"), (report, "file"), (report, "twin")):
        if len(table):
            table[column] = [below + file if file else "" for file in table[column]]
    return Gathering(photos, report)
