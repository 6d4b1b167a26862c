"""Table of the positions and countries of landmarks, with strict checks."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from triovision.errors import ManifestError
from triovision.geo import is_country
from triovision.guesses import check_position

COLUMNS = ("landmark_id", "lat", "lon", "country")


def read_places(path: Path) -> pd.DataFrame:
    """Read and check a table of landmarks.

    Args:
        path: CSV with the columns `landmark_id`, `lat` and `lon` (degrees WGS 84) and `country` (ISO 3166-1 alpha-2).

    Returns:
        One row per landmark: `landmark_id` int64, `lat` and `lon` float64, `country` text; NaN and None in the last
        three if any of them is empty.

    Raises:
        ManifestError: If the file cannot be read, lacks a column, has a duplicate landmark, or an invalid
            number, position or country; names the first such line.
    """
    rows: dict[int, tuple[float, float, str | None]] = {}
    faults: list[tuple[int, str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            require_columns(path, reader.fieldnames or (), COLUMNS)
            for row in reader:
                try:
                    landmark = int(row["landmark_id"])
                    if landmark in rows:
                        raise ValueError(f"landmark {landmark} is a duplicate")
                    rows[landmark] = _place(row)
                except (TypeError, ValueError) as exc:
                    faults.append((reader.line_num, str(exc)))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ManifestError(str(path), f"cannot be read as CSV ({exc})", "Give a UTF-8 CSV file with a header") from exc
    if faults:
        line, reason = faults[0]
        more = f" (and {len(faults) - 1} more invalid lines)" if len(faults) > 1 else ""
        raise ManifestError(
            f"{path}, line {line}", f"{reason}{more}", "Correct the line, or empty its fields to leave the landmark out"
        )
    if not rows:
        raise ManifestError(str(path), "has no rows", "Add a row for each landmark")
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["lat", "lon", "country"])
    return table.rename_axis("landmark_id").reset_index()


def require_columns(path: Path, present: Sequence[str], required: Sequence[str]) -> None:
    """Raise ManifestError if a required column is missing."""
    if missing := [column for column in required if column not in present]:
        raise ManifestError(
            str(path), f"lacks the column(s) {', '.join(missing)}", f"It has {', '.join(present)}: rename or add"
        )


def _place(row: Mapping[str, str | None]) -> tuple[float, float, str | None]:
    lat, lon, country = (str(row[column] or "").strip() for column in COLUMNS[1:])
    if not (lat and lon and country):
        return float("nan"), float("nan"), None
    check_position(float(lat), float(lon))
    if not is_country(country):
        raise ValueError(f"`country` {country!r} is not an ISO 3166-1 alpha-2 code such as FR")
    return float(lat), float(lon), country
