"""Labels of photos: country, position and place from folder names or a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from triovision.errors import ManifestError
from triovision.geo.country_names import country_code
from triovision.guesses import check_position
from triovision.train.data.build.photo_files import Problem
from triovision.train.data.manifest import read_table

_NAMES: Final = {
    "file": ("file", "file_name", "filename", "filepath", "path", "image", "photo"),
    "country": ("country", "country_code", "iso2", "iso_a2", "pays"),
    "lat": ("lat", "latitude", "lat_deg"),
    "lon": ("lon", "lng", "long", "longitude", "lon_deg"),
}
"""Accepted names of columns, case-insensitive; the first one present is used."""


@dataclass(frozen=True, slots=True)
class Label:
    """Label of a photo.

    Attributes:
        country: ISO 3166-1 alpha-2 code, or empty.
        position: `(lat_deg, lon_deg)`, or None.
        place: Place within the country, or empty.
        others: Other columns of the table.
    """

    country: str = ""
    position: tuple[float, float] | None = None
    place: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


def label_of_folders(file: str) -> Label:
    """Country of the topmost folder named after one; the place is the path if there is a folder below it.

    Args:
        file: Path of a photo, separated by `/`, such as `"France/Paris/1.jpg"`.
    """
    folders = PurePosixPath(file).parent.parts
    for depth, folder in enumerate(folders):
        if country := country_code(folder):
            return Label(country, place="/".join(folders) if len(folders) > depth + 1 else "")
    return Label()


def read_labels(path: Path, folder: Path) -> tuple[dict[str, Label], list[Problem]]:
    """Read a table of labels.

    Args:
        path: CSV or Parquet file with a column of file names, relative to `folder` or absolute, and optionally
            `country` (code, or name in English or French), `lat` and `lon`, `place`; other columns are kept.
        folder: Folder of the photos.

    Returns:
        Labels by file, relative to `folder` with `/`; and problems of rows that are not valid.

    Raises:
        ManifestError: If the table cannot be read or lacks the columns.
    """
    table, _ = read_table(path)
    columns = _find_columns(path, table.columns)
    labels: dict[str, Label] = {}
    problems = []
    for row in table.to_dict("records"):
        written = row[columns["file"]]
        file = _below(folder, written)
        if file is None or file in labels:
            reason = "duplicate row: the first one is used" if file else "its path is outside the folder"
            problems.append(Problem(file or written, "bad row", reason))
            continue
        given = {name: row[column].strip() for name, column in columns.items()}
        others = {name: text for name, text in row.items() if name not in columns.values()}
        labels[file], reasons = _label(given, others)
        problems += [Problem(file, "bad row", reason) for reason in reasons]
    return labels, problems


def _find_columns(path: Path, present: Iterable[str]) -> dict[str, str]:
    by_name = {column.strip().lower(): column for column in reversed(list(present))}
    columns = {
        field: next(by_name[name] for name in names if name in by_name)
        for field, names in _NAMES.items()
        if any(name in by_name for name in names)
    }
    if "file" not in columns or not ("country" in columns or {"lat", "lon"} <= columns.keys()):
        raise ManifestError(
            str(path),
            f"has the columns {', '.join(present)}",
            "Name one `file` and others `country`, or `lat` and `lon`, separated by commas",
        )
    return columns


def _below(folder: Path, written: str) -> str | None:
    if not written.strip():
        return None
    file = os.path.relpath(os.path.join(os.path.abspath(folder), written), os.path.abspath(folder))
    return None if file == os.curdir or file.split(os.sep)[0] == os.pardir else Path(file).as_posix()


def _label(given: Mapping[str, str], others: dict[str, str]) -> tuple[Label, list[str]]:
    reasons = []
    country = country_code(given.get("country", "")) or ""
    if given.get("country") and not country:
        reasons.append(f"its country {given['country']!r} is unknown and was ignored")
    position = None
    lat, lon = given.get("lat", ""), given.get("lon", "")
    if lat or lon:
        try:
            position = float(lat), float(lon)
            check_position(*position)
        except ValueError:
            position = None
            reasons.append(f"its position {lat!r}, {lon!r} is not valid and was ignored")
    return Label(country, position, others.pop("place", ""), others), reasons
