"""The table of photos: `file, country, lat, lon, place, source` and the columns of its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from triovision.errors import ManifestError
from triovision.geo import is_country

REQUIRED = ("file", "country")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A table of photos and the folder that its file names start from.

    Attributes:
        table: One row a photo; `lat` and `lon` are float degrees, NaN where unknown; all else is text.
        root: Folder that `file` is relative to.
        sha256: Hash of the table's bytes, so that a model can say what it was trained on.
    """

    table: pd.DataFrame
    root: Path
    sha256: str

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.table)

    def where(self, mask: pd.Series) -> Manifest:
        """The rows for which `mask` is true, in their order."""
        return Manifest(self.table[mask].reset_index(drop=True), self.root, self.sha256)

    @property
    def paths(self) -> list[Path]:
        """Full paths of the photos."""
        return [self.root / file for file in self.table["file"]]


def read_manifest(path: Path, root: Path | None = None, columns: Sequence[str] = ()) -> Manifest:
    """Read and check a manifest.

    Args:
        path: A CSV file with at least the columns `file` and `country`.
        root: Folder that the file names are relative to; the manifest's own folder when None.
        columns: Further columns that the caller needs.

    Raises:
        ManifestError: If the file cannot be read, a column is missing, a country is no ISO code, a position is no
            place on Earth or a file name leads out of `root`.
    """
    root = path.parent if root is None else root
    try:
        data = path.read_bytes()
        # keep_default_na: "NA" is Namibia.
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, ValueError) as exc:
        raise ManifestError(str(path), f"cannot be read as CSV ({exc})", "Give a UTF-8 CSV file with a header") from exc
    missing = [column for column in (*REQUIRED, *columns) if column not in table.columns]
    if missing:
        raise ManifestError(
            str(path), f"lacks the column(s) {', '.join(missing)}", f"It has {', '.join(table.columns)}: rename or add"
        )
    if table.empty:
        raise ManifestError(str(path), "has no rows", "Add a row for each photo")
    _check_files(path, table)
    _check_countries(path, table)
    for column, bound in (("lat", 90), ("lon", 180)):
        table[column] = _degrees(path, table, column, bound)
    return Manifest(table, root, hashlib.sha256(data).hexdigest())


def _check_files(path: Path, table: pd.DataFrame) -> None:
    for row, file in enumerate(table["file"], start=2):
        if not file or Path(file).is_absolute() or ".." in Path(file).parts:
            raise ManifestError(
                f"{path}, line {row}", f"`file` {file!r} is empty or leads out of the folder", "Give a path below it"
            )


def _check_countries(path: Path, table: pd.DataFrame) -> None:
    unknown = sorted({country for country in table["country"].unique() if not is_country(country)})
    if unknown:
        raise ManifestError(
            str(path), f"`country` holds {', '.join(map(repr, unknown[:5]))}", "Use ISO 3166-1 alpha-2 codes such as FR"
        )


def _degrees(path: Path, table: pd.DataFrame, column: str, bound: int) -> pd.Series:
    if column not in table.columns:
        return pd.Series(float("nan"), index=table.index)
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = (table[column].str.strip() != "") & ~(values.abs() <= bound)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise ManifestError(
            f"{path}, line {row + 2}",
            f"`{column}` is {table[column].iloc[row]!r}",
            f"Give degrees between -{bound} and {bound}, or leave it empty",
        )
    return values
