"""Join of the official metadata with a table of places, in DuckDB with bounded memory."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from triovision.errors import ManifestError
from triovision.files import atomic_write, durable_replace
from triovision.train.data.gldv2.places import read_places, require_columns

REPORT = "_report.json"  # readers of a folder of Parquet pass over names with an underscore
ROWS_PER_SHARD = 100_000
_MEMORY = "1GB"  # DuckDB's buffers; larger tables spill to disk
_TABLES = {
    "train": ("train.csv", ("id", "url", "landmark_id")),
    "clean": ("train_clean.csv", ("landmark_id", "images")),
    "categories": ("train_label_to_category.csv", ("landmark_id", "category")),
    "attribution": ("train_attribution.csv", ("id", "url", "author", "license", "title")),
}
_OFFICIAL = "https://s3.amazonaws.com/google-landmark/metadata/"

# An id is 16 hexadecimal digits: as a 64-bit number it joins and sorts several times faster than as text.
_MACROS = """
    SET enable_progress_bar = false;
    CREATE MACRO photo_key(id) AS CASE WHEN regexp_full_match(id, '[0-9a-f]{16}') THEN CAST('0x' || id AS UBIGINT) END;
    CREATE MACRO photo_id(key) AS format('{:016x}', key);
    CREATE MACRO official(path, names) AS TABLE SELECT * FROM read_csv(path, columns = names, auto_detect = false,
        header = true, delim = ',', quote = '"', escape = '"', max_line_size = 16000000, store_rejects = true,
        rejects_limit = 0)"""
_READ = {
    "train": """
        CREATE TABLE train AS SELECT photo_key(id) AS key, TRY_CAST(landmark_id AS BIGINT) AS landmark, url
        FROM official($path, $columns)""",
    "clean": """
        CREATE TABLE clean AS SELECT DISTINCT photo_key(id) AS key, landmark FROM (
            SELECT unnest(string_split(images, ' ')) AS id, TRY_CAST(landmark_id AS BIGINT) AS landmark
            FROM official($path, $columns)
        ) WHERE key IS NOT NULL""",
    "categories": """
        CREATE TABLE categories AS SELECT TRY_CAST(landmark_id AS BIGINT) AS landmark,
            replace(url_decode(regexp_replace(category, '^.*Category:', '')), '_', ' ') AS name
        FROM official($path, $columns)""",
}
_FAULTS = (
    "no photo id or landmark number",
    "not in train_clean.csv",
    "landmark not in the table of places",
    "landmark without a full place",
)
_JUDGED = """
    CREATE VIEW judged AS SELECT t.key, t.landmark, t.url, CASE
        WHEN t.key IS NULL OR t.landmark IS NULL THEN 0
        WHEN NOT $all AND c.key IS NULL THEN 1
        WHEN p.landmark_id IS NULL THEN 2
        WHEN p.country IS NULL THEN 3
        END AS fault, p.lat, p.lon, p.country
    FROM train t LEFT JOIN clean c ON t.key = c.key AND t.landmark = c.landmark
    LEFT JOIN places p ON t.landmark = p.landmark_id"""
_KEPT = """
    CREATE TABLE kept AS SELECT j.key, j.landmark, j.url, j.lat, j.lon, j.country,
        coalesce(nullif(c.name, ''), 'landmark ' || j.landmark) AS place
    FROM judged j LEFT JOIN categories c ON j.landmark = c.landmark WHERE j.fault IS NULL"""
_MANIFEST = """
    CREATE TABLE manifest AS SELECT k.*, a.key IS NOT NULL AS attributed, a.page, a.author, a.licence, a.title,
        (row_number() OVER (ORDER BY k.key) - 1) // $rows AS shard
    FROM kept k LEFT JOIN (
        SELECT photo_key(id) AS key, url AS page, author, license AS licence, title FROM official($path, $columns)
    ) a ON k.key = a.key"""
_SHARD = """
    SELECT concat_ws('/', id[1], id[2], id[3], id) || '.jpg' AS file, country, lat, lon, place, 'gldv2' AS source,
        landmark AS landmark_id, url, page, coalesce(author, '') AS author, coalesce(licence, '') AS licence,
        coalesce(title, '') AS title
    FROM (SELECT *, photo_id(key) AS id FROM manifest WHERE shard = $shard) ORDER BY key"""


@dataclass(frozen=True, slots=True)
class JoinReport:
    """Numbers of photos that the join kept and dropped.

    Attributes:
        read: Rows of `train.csv`.
        dropped: Number of dropped photos by reason, in the order of the steps.
        kept: Photos in the manifest.
        landmarks: Landmarks among them.
        countries: Countries among them.
        unattributed: Photos in the manifest that the attribution table lacks.
        unreadable_lines: Number of invalid CSV lines by file.
    """

    read: int
    dropped: dict[str, int]
    kept: int
    landmarks: int
    countries: int
    unattributed: int
    unreadable_lines: dict[str, int]


def prepare(metadata: Path, places: Path, out: Path, *, all_photos: bool = False, force: bool = False) -> JoinReport:
    """Join the official metadata with a table of places into a sharded Parquet manifest.

    The manifest is written atomically.

    Args:
        metadata: Folder of `train.csv`, `train_clean.csv`, `train_label_to_category.csv`, `train_attribution.csv`.
        places: Table of landmarks; see `read_places`.
        out: Folder to write: `part-000.parquet`, ... in the order of photo ids, and `_report.json`.
        all_photos: Also keep photos that are not in the cleaned list.
        force: Replace an earlier manifest in `out`.

    Raises:
        ManifestError: If a table is missing, unreadable, lacks a column or has duplicates, if no photo is left, or if
            `out` exists.
    """
    _check_out(out, force)
    columns = {name: _header(metadata / file, required) for name, (file, required) in _TABLES.items()}
    place_table = read_places(places)
    scratch = out.parent / f".{out.name}.partial"
    shutil.rmtree(scratch, ignore_errors=True)  # of a killed run
    (scratch / "manifest").mkdir(parents=True)
    try:
        with duckdb.connect(str(scratch / "join.duckdb"), config=_config(scratch)) as connection:
            connection.register("places", place_table)
            report = _join(connection, metadata, columns, all_photos)
            _write(connection, scratch / "manifest")
        atomic_write(scratch / "manifest" / REPORT, json.dumps(asdict(report), indent=2) + "\n")
        if out.exists():
            out.rename(scratch / "replaced")
        durable_replace(scratch / "manifest", out)
    except duckdb.Error as exc:
        raise ManifestError(str(metadata), f"cannot be joined ({exc})", "Check the tables and the free disk") from exc
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return report


def _config(scratch: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": _MEMORY,
        "temp_directory": str(scratch / "spill"),
        "preserve_insertion_order": False,
    }


def _check_out(out: Path, force: bool) -> None:
    if not out.exists():
        return
    if not force:
        raise ManifestError(str(out), "already exists", "Choose another folder, or replace it with --force")
    # Never replace a folder with other files.
    if not out.is_dir() or any(entry.name != REPORT and not entry.match("part-*.parquet") for entry in out.iterdir()):
        raise ManifestError(str(out), "has other files than a manifest and is not replaced", "Choose another folder")


def _header(path: Path, required: tuple[str, ...]) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = next(csv.reader([file.readline(10_000)]), [])
    except FileNotFoundError as exc:
        raise ManifestError(str(path), "is missing", f"Fetch it from {_OFFICIAL}{path.name}") from exc
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ManifestError(str(path), f"cannot be read as CSV ({exc})", f"Fetch {_OFFICIAL}{path.name} anew") from exc
    require_columns(path, columns, required)
    return columns


def _join(
    connection: duckdb.DuckDBPyConnection, metadata: Path, columns: dict[str, list[str]], all_photos: bool
) -> JoinReport:
    def source(name: str) -> dict[str, object]:
        return {"path": str(metadata / _TABLES[name][0]), "columns": dict.fromkeys(columns[name], "VARCHAR")}

    connection.execute(_MACROS)
    for name, query in _READ.items():
        connection.execute(query, source(name))
    _check_unique(connection, "train", "key", metadata / "train.csv")
    _check_unique(connection, "categories", "landmark", metadata / "train_label_to_category.csv")
    connection.execute(_JUDGED.replace("$all", str(all_photos).lower()))  # a view takes no parameters
    fates = dict(connection.execute("SELECT fault, count(*) FROM judged GROUP BY fault").fetchall())
    dropped = {reason: fates[i] for i, reason in enumerate(_FAULTS) if i in fates}
    if None not in fates:
        reasons = ", ".join(f"{rows} {reason}" for reason, rows in dropped.items()) or "train.csv has no rows"
        raise ManifestError(str(metadata), f"no photo is left: {reasons}", "Check that all tables are of landmarks v2")
    connection.execute(_KEPT)
    connection.execute(_MANIFEST, source("attribution") | {"rows": ROWS_PER_SHARD})
    _check_unique(connection, "manifest", "key", metadata / "train_attribution.csv")
    kept, landmarks, countries, attributed = connection.execute(
        "SELECT count(*), count(DISTINCT landmark), count(DISTINCT country), count_if(attributed) FROM manifest"
    ).fetchall()[0]
    return JoinReport(
        read=sum(fates.values()),
        dropped=dropped,
        kept=kept,
        landmarks=landmarks,
        countries=countries,
        unattributed=kept - attributed,
        unreadable_lines=_unreadable(connection),
    )


def _check_unique(connection: duckdb.DuckDBPyConnection, table: str, column: str, path: Path) -> None:
    shown = "photo_id(key)" if column == "key" else column
    duplicates = connection.execute(
        f"SELECT {shown} FROM {table} WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1 "  # noqa: S608 - fixed names
        f"ORDER BY {column} LIMIT 5"
    ).fetchall()
    if duplicates:
        names = ", ".join(str(name) for (name,) in duplicates)
        raise ManifestError(str(path), f"has duplicates: {names}", f"Fetch {_OFFICIAL}{path.name} anew")


def _unreadable(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    rows = connection.execute("""
        SELECT file_path, count(DISTINCT line) FROM reject_errors JOIN reject_scans USING (scan_id, file_id)
        GROUP BY file_path ORDER BY file_path""").fetchall()
    return {Path(path).name: lines for path, lines in rows}


def _write(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    shards = connection.execute("SELECT max(shard) + 1 FROM manifest").fetchall()[0][0]
    for shard in range(shards):
        connection.execute(
            f"COPY ({_SHARD}) TO $path (FORMAT parquet, COMPRESSION zstd)",
            {"shard": shard, "path": str(folder / f"part-{shard:03}.parquet")},
        )
