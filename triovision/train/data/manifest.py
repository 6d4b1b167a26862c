"""Manifest: the table of photos with `file`, a label, `lat, lon, place, source` and splits, as CSV or Parquet."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from triovision.errors import ManifestError
from triovision.files import atomic_open
from triovision.geo import is_country
from triovision.train.recipes.sections import COUNTRY

_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A table of photos and the folder of its files.

    Attributes:
        table: One row per photo; `lat` and `lon` are float degrees, NaN where unknown; other columns are text.
        root: Folder that `file` is relative to.
        sha256: SHA-256 of the file, which cards record.
        label_column: Column of the labels that a classifier learns.
    """

    table: pd.DataFrame
    root: Path
    sha256: str
    label_column: str = COUNTRY

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.table)

    def where(self, mask: pd.Series) -> Manifest:
        """Select rows by a mask."""
        return replace(self, table=self.table[mask].reset_index(drop=True))

    @property
    def labels(self) -> pd.Series:
        """Label of each photo, such as its country."""
        return self.table[self.label_column]

    @property
    def places(self) -> pd.Series:
        """Place of each photo; where places are unknown or are the labels themselves, each photo is its own place."""
        return self.table["place" if "place" in self.table and self.label_column != "place" else "file"]

    @property
    def paths(self) -> list[Path]:
        """Full paths of the photos."""
        return [self.root / file for file in self.table["file"]]


def read_manifest(
    path: Path, root: Path | None = None, columns: Sequence[str] = (), label_column: str = COUNTRY
) -> Manifest:
    """Read and check a manifest.

    Args:
        path: CSV or Parquet file, according to its suffix, or folder of Parquet files; it has at least the columns
            `file` and `label_column`.
        root: Folder that the file names are relative to; by default the folder of the manifest.
        columns: Further columns that the caller needs.
        label_column: Column of the labels; `country` holds ISO codes, any other any text.

    Raises:
        ManifestError: If the file cannot be read, a column is missing, a label is empty or a country not an ISO code,
            a position is out of range or a file is outside `root`.
    """
    if root is None:
        root = path if path.is_dir() else path.parent
    table, sha256 = read_table(path)
    return Manifest(_checked(path, table, columns, label_column), root, sha256, label_column)


def write_manifest(manifest: Manifest | pd.DataFrame, path: Path, label_column: str = COUNTRY) -> None:
    """Check a table of photos and write it atomically.

    Args:
        manifest: A manifest, or a table with its columns; `file` is relative to the folder of `path`.
        path: CSV or Parquet file, according to its suffix.
        label_column: See `read_manifest`.

    Raises:
        ManifestError: If the table is not valid, see `read_manifest`, or it cannot be written.
    """
    table = manifest.table if isinstance(manifest, Manifest) else manifest
    _checked(path, _as_text(table), (), label_column)
    write_table(table, path)


def read_table(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a CSV or Parquet file, according to its suffix, as text; missing values are empty.

    A folder is read as its Parquet files in the order of their names.

    Returns:
        The table and the SHA-256 of the bytes.

    Raises:
        ManifestError: If the file cannot be read.
    """
    parts = sorted(file for file in path.iterdir() if _is_parquet(file)) if path.is_dir() else [path]
    if not parts:
        raise ManifestError(str(path), "is a folder without Parquet files", "Give one that `gldv2 prepare` wrote")
    hashed, tables = hashlib.sha256(), []
    for part in parts:
        data = _read_bytes(part)
        hashed.update(data)
        tables.append(_from_bytes(part, data))
    return pd.concat(tables, ignore_index=True), hashed.hexdigest()


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically as CSV or Parquet, according to the suffix.

    Raises:
        ManifestError: If it cannot be written.
    """
    check_suffix(path)
    try:
        with atomic_open(path) as file:
            if _is_parquet(path):
                table.to_parquet(file, index=False)
            else:
                table.to_csv(file, index=False, encoding="utf-8", lineterminator="\n")
    except (OSError, ValueError, pa.ArrowException) as exc:
        raise ManifestError(
            str(path), f"cannot be written ({exc})", "Check the folder, its permissions and the free space"
        ) from exc


def check_suffix(path: Path) -> None:
    """Check that a file name ends in a suffix of CSV or Parquet.

    Raises:
        ManifestError: If it is neither.
    """
    if path.suffix.lower() not in (*_PARQUET, ".csv"):
        raise ManifestError(str(path), "is neither CSV nor Parquet", "Give a name that ends in .csv or .parquet")


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in _PARQUET


def _read_bytes(path: Path) -> bytes:
    check_suffix(path)
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ManifestError(str(path), f"cannot be read ({exc})", "Check its name and permissions") from exc


def _from_bytes(path: Path, data: bytes) -> pd.DataFrame:
    kind = "Parquet" if _is_parquet(path) else "CSV"
    try:
        return _from_parquet(data) if _is_parquet(path) else _from_csv(data)
    except (ValueError, pa.ArrowException) as exc:
        remedy = "Give a Parquet file of plain columns" if _is_parquet(path) else "Give a UTF-8 CSV file with a header"
        raise ManifestError(str(path), f"cannot be read as {kind} ({exc})", remedy) from exc


def _from_csv(data: bytes) -> pd.DataFrame:
    # keep_default_na: "NA" is Namibia. utf-8-sig: spreadsheets write a byte order mark.
    table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig")
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("its rows have more fields than its header")
    return table


def _from_parquet(data: bytes) -> pd.DataFrame:
    table = pq.read_table(pa.BufferReader(data))
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns[name] = column.cast(pa.string()).fill_null("").to_pandas()
        except pa.ArrowException as exc:
            raise ValueError(f"column {name!r} holds {column.type}, which is neither text nor number") from exc
    return pd.DataFrame(columns)


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(object).where(table.notna(), "").astype(str)


def _checked(path: Path, table: pd.DataFrame, columns: Sequence[str], label_column: str) -> pd.DataFrame:
    """The table with positions as numbers; raises ManifestError if it is not valid."""
    missing = [column for column in ("file", label_column, *columns) if column not in table.columns]
    if missing:
        raise ManifestError(
            str(path), f"lacks the column(s) {', '.join(missing)}", f"It has {', '.join(table.columns)}: rename or add"
        )
    if table.empty:
        raise ManifestError(str(path), "has no rows", "Add a row for each photo")
    _check_files(path, table)
    if label_column == COUNTRY:
        _check_countries(path, table)
    else:
        _check_labels(path, table, label_column)
    for column, bound in (("lat", 90), ("lon", 180)):
        table[column] = _degrees(path, table, column, bound)
    return table


def _row_name(path: Path, row: int) -> str:
    """Location of a row in the file; CSV has a header line."""
    return f"{path}, row {row + 1}" if _is_parquet(path) else f"{path}, line {row + 2}"


def _check_files(path: Path, table: pd.DataFrame) -> None:
    for row, file in enumerate(table["file"]):
        if not file or os.path.isabs(file) or (".." in file and ".." in Path(file).parts):
            raise ManifestError(
                _row_name(path, row), f"`file` {file!r} is empty or outside the folder", "Give a path below the folder"
            )


def _check_countries(path: Path, table: pd.DataFrame) -> None:
    unknown = sorted({country for country in table["country"].unique() if not is_country(country)})
    if unknown:
        raise ManifestError(
            str(path), f"`country` holds {', '.join(map(repr, unknown[:5]))}", "Use ISO 3166-1 alpha-2 codes such as FR"
        )


def _check_labels(path: Path, table: pd.DataFrame, column: str) -> None:
    empty = (table[column].str.strip() == "").to_numpy()
    if empty.any():
        where = _row_name(path, int(empty.argmax()))
        raise ManifestError(where, f"`{column}` is empty", "Give each photo a label, or remove its row")


def _degrees(path: Path, table: pd.DataFrame, column: str, bound: int) -> pd.Series:
    if column not in table.columns:
        return pd.Series(float("nan"), index=table.index)
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = (table[column].str.strip() != "") & ~(values.abs() <= bound)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise ManifestError(
            _row_name(path, row),
            f"`{column}` is {table[column].iloc[row]!r}",
            f"Give degrees between -{bound} and {bound}, or leave it empty",
        )
    return values
