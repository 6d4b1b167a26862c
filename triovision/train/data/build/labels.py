"""What is said of a photo beside its own bytes: by the folders that it lies in, and by a table."""

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
"""Columns of a table by the names that they go under, in any case, the first found being taken."""


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody says of a photo.

    Attributes:
        country: ISO 3166-1 alpha-2 code, or empty.
        position: `(lat_deg, lon_deg)`, or None.
        place: Place within the country, or empty.
        others: Whatever else the table says, by column.
    """

    country: str = ""
    position: tuple[float, float] | None = None
    place: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


def label_of_folders(file: str) -> Label:
    """Country of the topmost folder that is named by one, and as place the path of a folder below it.

    Args:
        file: Path of a photo, parts joined by `/`, such as `"France/Paris/1.jpg"`.
    """
    folders = PurePosixPath(file).parent.parts
    for depth, folder in enumerate(folders):
        if country := country_code(folder):
            return Label(country, place="/".join(folders) if len(folders) > depth + 1 else "")
    return Label()


def read_labels(path: Path, folder: Path) -> tuple[dict[str, Label], list[Problem]]:
    """Read a table that lists photos.

    Args:
        path: CSV or Parquet. One column names the file, below `folder` or in full; others may give `country` (code, or
            name in English or French), `lat` and `lon`, `place`; all others are kept.
        folder: Folder of the photos.

    Returns:
        Labels by file, as paths below `folder` joined by `/`; and the rows that cannot be used, or only in part.

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
            reason = "it is listed again: the first row counts" if file else "its path leads out of the folder"
            problems.append(Problem(file or written, "bad row", reason))
            continue
        given = {name: row[column].strip() for name, column in columns.items()}
        others = {name: text for name, text in row.items() if name not in columns.values()}
        labels[file], reasons = _label(given, others)
        problems += [Problem(file, "bad row", reason) for reason in reasons]
    return labels, problems


def _find_columns(path: Path, present: Iterable[str]) -> dict[str, str]:
    by_name = {column.strip().lower(): column for column in reversed(list(present))}
    found = {
        field: next(by_name[name] for name in names if name in by_name)
        for field, names in _NAMES.items()
        if any(name in by_name for name in names)
    }
    if "file" not in found or not ("country" in found or {"lat", "lon"} <= found.keys()):
        raise ManifestError(
            str(path),
            f"has the columns {', '.join(present)}",
            "Name one `file` and others `country`, or `lat` and `lon`, separated by commas",
        )
    return found


def _below(folder: Path, written: str) -> str | None:
    if not written.strip():
        return None
    file = os.path.relpath(os.path.join(os.path.abspath(folder), written), os.path.abspath(folder))
    return None if file == os.curdir or file.split(os.sep)[0] == os.pardir else Path(file).as_posix()


def _label(given: Mapping[str, str], others: dict[str, str]) -> tuple[Label, list[str]]:
    reasons = []
    country = country_code(given.get("country", "")) or ""
    if given.get("country") and not country:
        reasons.append(f"its country {given['country']!r} is none that is known: it was ignored")
    position = None
    lat, lon = given.get("lat", ""), given.get("lon", "")
    if lat or lon:
        try:
            position = float(lat), float(lon)
            check_position(*position)
        except ValueError:
            position = None
            reasons.append(f"its position {lat!r}, {lon!r} is none on Earth: it was ignored")
    return Label(country, position, others.pop("place", ""), others), reasons
