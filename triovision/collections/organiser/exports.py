"""Files of a collection for other programs: Parquet, GeoParquet, CSV and GeoJSON row by row, KMZ and GPX in parts."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from triovision.collections.answer_rows import ANSWER_SCHEMA
from triovision.collections.exports import geo_metadata, points_as_wkb, to_gpx, to_kmz
from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.photos import FAILURES, PHOTOS, iter_entries, photo_name
from triovision.collections.tables import COLUMNS
from triovision.files import atomic_open, atomic_write
from triovision.photo.names import clean_text, spreadsheet_safe

#: Photos in one KMZ or GPX file: programs that read them keep all in memory.
PART: Final = 5000
_MAX_NAME: Final = 500
_SCHEMA: Final = pa.schema([pa.field("name", pa.string()), *(ANSWER_SCHEMA.field(c) for c in COLUMNS if c != "name")])


def export(database: CollectionDatabase, model_sha256: str, form: str, folder: Path) -> list[Path]:
    """Write the answered photos in one of `FORMS`.

    The columns are those of `tables.COLUMNS`; `name` is the path of the photo.

    Args:
        database: The database.
        model_sha256: The model.
        form: A key of `FORMS`.
        folder: Folder to write into.

    Returns:
        The files, each written whole or not at all.
    """
    return FORMS[form](database, model_sha256, folder)


def write_failures(database: CollectionDatabase, path: Path) -> int:
    """Write a CSV file of the photos without an answer, with the reasons, and return their number."""
    count = 0
    with atomic_open(path) as file:
        file.write("\ufeffpath,reason\r\n".encode())
        for row in database.rows(FAILURES):
            _write_csv_row(file, [clean_text(photo_name(row), _MAX_NAME), row["reason"]])
            count += 1
    return count


def _table(database: CollectionDatabase, model_sha256: str) -> Iterator[pa.RecordBatch]:
    """Batches with the columns of `COLUMNS`."""
    columns = ", ".join(name for name in COLUMNS if name != "name")
    for batch in database.batches(f"SELECT path, member, {columns} FROM ({PHOTOS})", model=model_sha256):  # noqa: S608 - constants
        names = [clean_text(photo_name(row), _MAX_NAME) for row in batch.select(["path", "member"]).to_pylist()]
        arrays = [
            pa.array(names, pa.string()),
            *(batch[name].cast(_SCHEMA.field(name).type) for name in _SCHEMA.names[1:]),
        ]
        yield pa.record_batch(arrays, schema=_SCHEMA)


def _parquet(database: CollectionDatabase, model_sha256: str, folder: Path) -> list[Path]:
    path = folder / "photos.parquet"
    with atomic_open(path) as file, pq.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
        for batch in _table(database, model_sha256):
            writer.write_batch(batch)
    return [path]


def _geoparquet(database: CollectionDatabase, model_sha256: str, folder: Path) -> list[Path]:
    path = folder / "photos.geo.parquet"
    corners = "min(lon_deg), min(lat_deg), max(lon_deg), max(lat_deg)"
    bbox = database.first(f"SELECT {corners} FROM ({PHOTOS})", model=model_sha256)  # noqa: S608 - constants
    schema = _SCHEMA.append(pa.field("geometry", pa.binary()))
    schema = schema.with_metadata({b"geo": geo_metadata(None if bbox[0] is None else bbox)})
    with atomic_open(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _table(database, model_sha256):
            points = points_as_wkb(batch["lon_deg"].to_pylist(), batch["lat_deg"].to_pylist())
            writer.write_batch(pa.record_batch([*batch.columns, points], schema=schema))
    return [path]


def _csv(database: CollectionDatabase, model_sha256: str, folder: Path) -> list[Path]:
    path = folder / "photos.csv"
    with atomic_open(path) as file:
        file.write(b"\xef\xbb\xbf")  # without a byte order mark Excel reads another code page
        _write_csv_row(file, list(COLUMNS))
        for batch in _table(database, model_sha256):
            for row in batch.to_pylist():
                _write_csv_row(file, list(row.values()))
    return [path]


def _geojson(database: CollectionDatabase, model_sha256: str, folder: Path) -> list[Path]:
    path = folder / "photos.geojson"
    with atomic_open(path) as file:
        file.write(b'{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for batch in _table(database, model_sha256):
            for row in batch.to_pylist():
                point = {"type": "Point", "coordinates": [row["lon_deg"], row["lat_deg"]]}
                feature = {"type": "Feature", "geometry": point, "properties": row}
                file.write((separator + json.dumps(feature, ensure_ascii=False, allow_nan=False)).encode())
                separator = ",\n"
        file.write(b"\n]}\n")
    return [path]


def _gpx(database: CollectionDatabase, model_sha256: str, folder: Path) -> list[Path]:
    return _in_parts(database, model_sha256, folder, "gpx", to_gpx)


def _kmz(database: CollectionDatabase, model_sha256: str, folder: Path) -> list[Path]:
    return _in_parts(database, model_sha256, folder, "kmz", to_kmz)


def _in_parts(
    database: CollectionDatabase, model_sha256: str, folder: Path, suffix: str, write: Callable[[list[Any]], bytes]
) -> list[Path]:
    """Write `photos.SUFFIX`, and `photos-2.SUFFIX` and so on for more than one part; delete older parts."""
    written: list[Path] = []
    entries = (entry for _, entry in iter_entries(database, model_sha256))
    part = list(islice(entries, PART))
    while part or not written:
        path = folder / (f"photos-{len(written) + 1}.{suffix}" if written else f"photos.{suffix}")
        atomic_write(path, write(part))
        written.append(path)
        part = list(islice(entries, PART))
    for old in folder.glob(f"photos-*.{suffix}"):
        if old not in written:
            old.unlink()
    return written


def _write_csv_row(file: BinaryIO, cells: list[object]) -> None:
    csv.writer(_Utf8(file), lineterminator="\r\n").writerow([spreadsheet_safe(cell) for cell in cells])


class _Utf8:
    """Text file over a binary one, for `csv`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


#: Writers by the word that a person gives.
FORMS: Final[dict[str, Callable[[CollectionDatabase, str, Path], list[Path]]]] = {
    "parquet": _parquet,
    "geoparquet": _geoparquet,
    "csv": _csv,
    "geojson": _geojson,
    "kmz": _kmz,
    "gpx": _gpx,
}
